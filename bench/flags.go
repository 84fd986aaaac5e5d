package main

import (
	"context"
	"fmt"
)

// flagged is one setting of the connection, on one server.
type flagged struct {
	Setting string `json:"setting"`
	Near    figure `json:"near"`
	Far     figure `json:"far"` // 20 ms away, each way
}

// settings each differ from the first in one respect.
var settings = []struct {
	name    string
	options options
}{
	{"the connector's: snappy, windows of 4 MB, gRPC's own buffer, no keyspace in names", options{}},
	{"keyspace in names (exclude_keyspace_from_table_name off)", options{KeyspaceInName: true}},
	{"no compression", options{Compressor: "none"}},
	{"gRPC's own windows", options{Window: -1}},
	{"windows of 1 MB", options{Window: 1 << 20}},
	{"windows of 16 MB", options{Window: 16 << 20}},
	{"read buffer of 128 kB", options{ReadBuffer: 128 << 10}},
	{"read buffer of 512 kB", options{ReadBuffer: 512 << 10}},
	{"no compression, gRPC's own windows", options{Compressor: "none", Window: -1}},
}

// measureFlags copies the narrow table with a client that discards messages as they arrive, so that only the connection is measured.
func (b *bench) measureFlags(ctx context.Context, w *workload) ([]flagged, error) {
	t := w.tables[0]
	if err := b.load(ctx, t); err != nil {
		return nil, err
	}
	far, done, err := distant(ctx, b.plain())
	if err != nil {
		return nil, err
	}
	defer done()
	results := make([]flagged, len(settings))
	for place, at := range map[string]endpoint{"near": b.plain(), "far": far} {
		var contenders []*contender
		for _, s := range settings {
			o := s.options
			o.Raw = true
			c, err := b.drainContender(
				s.name,
				w.copied(),
				drainJob{Addr: at.grpc, Keyspace: w.keyspace(), Streams: w.streams(""), Concurrency: 1, Options: o},
			)
			if err != nil {
				return nil, err
			}
			contenders = append(contenders, c)
		}
		figures, err := b.measure(ctx, fmt.Sprintf("%s vtgate", place), w.copied(), contenders)
		if err != nil {
			return nil, err
		}
		for i, f := range figures {
			results[i].Setting = f.Name
			if place == "near" {
				results[i].Near = f
			} else {
				results[i].Far = f
			}
		}
	}
	return results, nil
}
