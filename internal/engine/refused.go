package engine

import (
	"context"
	"errors"
	"fmt"

	"source-planetscale/internal/schema"
)

// Logger is where a command reports what it continues without.
type Logger interface {
	Info(text string, args ...any)
}

// GoOn lets a command continue without a query that the service refused to answer; a lost connection does not count as a refusal.
func GoOn(ctx context.Context, log Logger, err error, question string) error {
	if ctx.Err() != nil || refusedOnly(err) != nil {
		return err
	}
	log.Info(fmt.Sprintf("The server does not say %s; the connector continues without this information.", question))
	return nil
}

// refusedOnly is nil if err is the service's refusal to answer a query, else err.
func refusedOnly(err error) error {
	if errors.Is(err, schema.ErrRefused) {
		return nil
	}
	return err
}
