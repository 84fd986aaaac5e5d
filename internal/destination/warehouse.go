package destination

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// Warehouse is the result of the syncs so far: rows at a destination with deduplication, and states that the platform stores.
type Warehouse struct {
	Tables  Tables
	schemas map[Stream]json.RawMessage
	states  []State
}

// Configure sets a configured catalog, the first or a refreshed one: rows and states stay.
func (w *Warehouse) Configure(configured []byte) error {
	tables, err := NewTables(configured)
	if err != nil {
		return err
	}
	var c struct {
		Streams []struct {
			Stream struct {
				Stream
				Schema json.RawMessage `json:"json_schema"`
			} `json:"stream"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(configured, &c); err != nil {
		return fmt.Errorf("not a configured catalog: %w", err)
	}
	w.schemas = map[Stream]json.RawMessage{}
	for _, s := range c.Streams {
		w.schemas[s.Stream.Stream] = s.Stream.Schema
	}
	for stream, t := range w.Tables {
		tables[stream] = t
	}
	w.Tables = tables
	return nil
}

// Deliver applies the output of a run, in order.
func (w *Warehouse) Deliver(records []Record, states []State) error {
	w.states = append(w.states, states...)
	return w.Tables.Fold(records)
}

// State is what the platform passes to the next run; nil before the first state.
func (w *Warehouse) State() ([]byte, error) {
	if len(w.states) == 0 {
		return nil, nil
	}
	return StateFile(w.states)
}

// Compare compares a stream's rows with the source's: those columns, as SQL lists them, of its table.
func (w *Warehouse) Compare(ctx context.Context, db *sql.DB, stream Stream, columns string) ([]string, error) {
	t, schema := w.Tables[stream], w.schemas[stream]
	if t == nil || schema == nil {
		return nil, fmt.Errorf("stream %s is not configured", stream)
	}
	return t.Compare(ctx, db, "select "+columns+" from `"+stream.Name+"`", schema)
}
