package destination

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Tables are what the records of any number of runs result in at a destination with deduplication.
type Tables map[Stream]*Table

// Table is one stream's rows.
type Table struct {
	Key  []string
	Rows map[string]map[string]any // by the key's values as JSON
	last map[string]int64          // _ab_cdc_cursor of each row, including deleted ones
	n    int                       // creates a key if there is none
}

// NewTables creates empty tables for the streams of a configured catalog.
func NewTables(configured []byte) (Tables, error) {
	var c struct {
		Streams []struct {
			Stream     Stream     `json:"stream"`
			PrimaryKey [][]string `json:"primary_key"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(configured, &c); err != nil {
		return nil, fmt.Errorf("not a configured catalog: %w", err)
	}
	tables := Tables{}
	for _, s := range c.Streams {
		t := &Table{Rows: map[string]map[string]any{}, last: map[string]int64{}}
		for _, path := range s.PrimaryKey {
			t.Key = append(t.Key, strings.Join(path, "."))
		}
		tables[s.Stream] = t
	}
	return tables, nil
}

// Fold applies records in order: of two with the same key the one with the larger _ab_cdc_cursor wins, whatever their order, and a
// deleted row is removed.
func (ts Tables) Fold(records []Record) error {
	for _, r := range records {
		t := ts[r.Stream]
		if t == nil {
			return fmt.Errorf("a record of stream %s, which is not configured", r.Stream)
		}
		if err := t.fold(r); err != nil {
			return fmt.Errorf("stream %s: %w", r.Stream, err)
		}
	}
	return nil
}

func (t *Table) fold(r Record) error {
	key, err := t.keyOf(r)
	if err != nil {
		return err
	}
	if n, ok := r.Data["_ab_cdc_cursor"].(json.Number); ok {
		cursor, err := strconv.ParseInt(n.String(), 10, 64)
		if err != nil {
			return fmt.Errorf("_ab_cdc_cursor is %s", n)
		}
		if cursor == t.last[key] {
			return fmt.Errorf("_ab_cdc_cursor %d is given twice to one key", cursor)
		}
		if cursor < t.last[key] {
			return nil
		}
		t.last[key] = cursor
	}
	if r.Data["_ab_cdc_deleted_at"] != nil {
		delete(t.Rows, key)
		return nil
	}
	t.Rows[key] = r.Data
	return nil
}

func (t *Table) keyOf(r Record) (string, error) {
	if len(t.Key) == 0 {
		t.n++
		return strconv.Itoa(t.n), nil
	}
	values := make([]any, len(t.Key))
	for i, column := range t.Key {
		v := r.Data[column]
		if v == nil {
			return "", fmt.Errorf("a record has no %s, a column of the key", column)
		}
		values[i] = v
	}
	key, err := json.Marshal(values)
	return string(key), err
}
