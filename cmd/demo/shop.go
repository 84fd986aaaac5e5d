package main

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"source-planetscale/internal/destination"
)

// The two keyspaces of the sandbox.
const (
	commerce = "commerce" // unsharded
	customer = "customer" // in two shards
)

// table is one table of the sample data.
type table struct {
	keyspace, name string
	shardedBy      string // the column of the vindex; "" in an unsharded keyspace
	key            []string
	rows           int
	columns        []column
}

// column is a column and its value in each row; a nil value leaves it to the server.
type column struct {
	name, definition string
	value            func(row) any
}

// row is the number of a row, from 1, and the random generator for its values, which gives the same in every run.
type row struct {
	n int
	*rand.Rand
}

// shop is all tables: a small shop for tea, coffee and chocolate.
var shop = []*table{
	warehouses, products, stock,
	customers, addresses, orders, orderLines, payments,
}

func tablesOf(keyspace string) []*table {
	return slices.DeleteFunc(slices.Clone(shop), func(t *table) bool { return t.keyspace != keyspace })
}

func (t *table) stream() destination.Stream {
	return destination.Stream{Name: t.name, Namespace: t.keyspace}
}

func tableNames(tables []*table) []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

// columnNames are in the table's order.
func columnNames(keyspace, name string) []string {
	var names []string
	for _, t := range shop {
		if t.keyspace == keyspace && t.name == name {
			for _, c := range t.columns {
				names = append(names, c.name)
			}
		}
	}
	return names
}

func (t *table) create() string {
	var lines []string
	for _, c := range t.columns {
		lines = append(lines, c.name+" "+c.definition)
	}
	lines = append(lines, "primary key ("+strings.Join(t.key, ", ")+")")
	return "create table " + t.name + " (" + strings.Join(lines, ", ") + ") charset utf8mb4"
}

// roll returns a random generator that depends only on its name and number, so that tables agree on what they share.
func roll(name string, n int) row {
	return row{n, rand.New(rand.NewPCG(uint64(crc32.ChecksumIEEE([]byte(name))), uint64(n)))}
}

func number(r row) any { return r.n }

func upTo(n int) func(row) any { return func(r row) any { return r.IntN(n) } }

func oneOf(choices ...string) func(row) any {
	return func(r row) any { return choices[r.IntN(len(choices))] }
}

// someOf is a value of a SET.
func someOf(labels ...string) func(row) any {
	return func(r row) any {
		var chosen []string
		for _, l := range labels {
			if r.IntN(3) == 0 {
				chosen = append(chosen, l)
			}
		}
		return strings.Join(chosen, ",")
	}
}

// sometimes is NULL except in one of n rows.
func sometimes(n int, value func(row) any) func(row) any {
	return func(r row) any {
		if r.IntN(n) == 0 {
			return nil
		}
		return value(r)
	}
}

func truth(r row) any { return r.IntN(2) }

func text(format string) func(row) any {
	return func(r row) any { return fmt.Sprintf(format, r.n) }
}

// money formats cents as a DECIMAL.
func money(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

// moment is a time in 2025 or in the first half of 2026, in whole microseconds.
func moment(r row) time.Time {
	const span = 545 * 24 * int64(time.Hour/time.Microsecond)
	return time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(span)) * time.Microsecond)
}

func when(r row) any { return moment(r) }

func day(r row) any { return moment(r).Format(time.DateOnly) }

func bytesOf(size int) func(row) any {
	return func(r row) any {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
}
