package main

import (
	"context"
	"fmt"
)

// concurrent is what the option concurrency gains, on one server.
type concurrent struct {
	Place string `json:"place"`
	// Start is the time of a sync of the same tables without changes, in seconds.
	Start   float64  `json:"start"`
	Figures []figure `json:"figures"` // named by the option's value
}

// parallelTables are copied at the same time, each with that many rows in each of two shards.
const (
	parallelTables = 8
	parallelRows   = 50_000
)

// measureConcurrency copies the same tables with an increasing number of streams at a time, next to vtgate and far from it.
func (b *bench) measureConcurrency(ctx context.Context) ([]concurrent, error) {
	var names []string
	for i := range parallelTables {
		t := &table{"customer", fmt.Sprintf("bench_parallel_%d", i+1), narrow, parallelRows}
		if err := b.load(ctx, t); err != nil {
			return nil, err
		}
		names = append(names, t.name)
	}
	far, done, err := distant(ctx, b.plain())
	if err != nil {
		return nil, err
	}
	defer done()
	var all []concurrent
	for _, place := range []struct {
		name string
		at   endpoint
	}{{"beside vtgate", b.plain()}, {"20 ms away", far}} {
		c, err := b.concurrencyAt(ctx, place.name, place.at, names)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (b *bench) concurrencyAt(ctx context.Context, place string, at endpoint, names []string) (c concurrent, err error) {
	c.Place = place
	if c.Start, err = b.unchanged(ctx, at, "customer", names); err != nil {
		return c, err
	}
	rows := parallelTables * parallelRows * len(shards["customer"])
	var contenders []*contender
	for _, n := range []int{1, 2, 4, 8} {
		config, err := b.connector.config(fmt.Sprintf("concurrency-%d-%s", n, at.grpc), at, "customer", map[string]any{"concurrency": n})
		if err != nil {
			return c, err
		}
		catalog, err := b.connector.catalog(ctx, "concurrency", config, "customer", names)
		if err != nil {
			return c, err
		}
		one := b.connectorContenders(b.connector.program, rows, config, catalog)[0]
		one.name = fmt.Sprint(n)
		contenders = append(contenders, one)
	}
	c.Figures, err = b.measure(ctx, "concurrency, "+place, rows, contenders)
	return c, err
}
