package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
	"source-planetscale/internal/torture"
)

// tortureSharded is the keyspace whose shards are split and merged.
const tortureSharded = "customer"

// reshardLimit is how long one may take, or to make the first shards anew.
const reshardLimit = 4 * time.Minute

func shardsAtFirst() []string { return []string{"-80", "80-"} }

// division is what a history did with the shards.
type division struct {
	made   *reshard   // its new shards follow the serving ones
	former []*reshard // their old shards do not serve any more
	torn   []string   // tables whose rows Vitess changed while it copied them
	unread bool       // shards were switched since the last judgement: there may be changes of the former ones that nobody read
	spoilt bool       // a reshard did not work: the rest of the history is not played
}

type reshard struct {
	*sandbox.Reshard
	from, to []string
}

// shardsOf are the names of a keyspace's serving shards.
func (r *tortureRig) shardsOf(keyspace string) []string {
	if keyspace != tortureSharded {
		return []string{"-"}
	}
	return r.serving
}

// restoreShards makes the shards that the keyspace has at first, empty, unless it has them.
func (r *tortureRig) restoreShards(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reshardLimit)
	defer cancel()
	out, err := vtctl(ctx, r.Sandbox, "FindAllShardsInKeyspace", tortureSharded)
	if err != nil {
		return err
	}
	var has struct{ Shards map[string]json.RawMessage }
	if err := json.Unmarshal(out, &has); err != nil {
		return err
	}
	r.serving = shardsAtFirst()
	existing := slices.Sorted(maps.Keys(has.Shards))
	if !slices.Equal(existing, r.serving) {
		for _, shard := range existing {
			if err := r.serveReads(ctx, shard); err != nil {
				return err
			}
			if err := r.Remove(ctx, tortureSharded, shard); err != nil {
				return err
			}
		}
		for _, shard := range r.serving {
			if err := r.Grow(ctx, tortureSharded, shard, tortureTablets); err != nil {
				return err
			}
		}
	}
	_, err = vtctl(ctx, r.Sandbox, "RebuildKeyspaceGraph", tortureSharded)
	return err
}

// serveReads ends a switch of a shard's reads of which the writes were never switched: Vitess then refuses to rebuild the keyspace's graph.
func (r *tortureRig) serveReads(ctx context.Context, shard string) error {
	for _, tablets := range []string{"replica", "rdonly"} {
		if _, err := vtctl(ctx, r.Sandbox, "SetShardTabletControl", "--disable-query-service=false", tortureSharded+"/"+shard, tablets); err != nil {
			return err
		}
	}
	return nil
}

// reunite makes the keyspace for the next history what it was for this one.
func (p *play) reunite() {
	if p.made == nil && p.former == nil && !p.spoilt && slices.Equal(p.serving, shardsAtFirst()) {
		return
	}
	var err error
	for range 3 {
		if err = p.reuniteOnce(); err == nil {
			return
		}
		p.failed(err)
	}
	p.broken = fmt.Errorf("the shards cannot be made what they were, so that no history can be played any more: %w", err)
}

func (p *play) reuniteOnce() error {
	ctx, cancel := context.WithTimeout(context.Background(), reshardLimit)
	defer cancel()
	if err := p.restoreShards(ctx); err != nil {
		return err
	}
	for _, shard := range p.serving {
		p.awaitShard(ctx, tortureSharded, shard)
	}
	return nil
}

// reshard makes new shards that follow serving ones.
func (p *play) reshard(ctx context.Context, s torture.Step) {
	r := &reshard{from: strings.Split(s.Word(0), ","), to: strings.Split(s.Word(2), ",")}
	if p.made != nil || !p.have(r) {
		return // of a history of which steps were taken away
	}
	p.patient()
	ctx, cancel := context.WithTimeout(ctx, reshardLimit)
	defer cancel()
	if p.former != nil { // what is left of the last would have to be completed before, which removes the shards
		for _, shard := range r.from {
			p.inShard(ctx, shard, []string{"delete from _vt.vreplication"})
		}
	}
	p.made = r
	var err error
	r.Reshard, err = p.Reshard(ctx, tortureSharded, r.from, r.to)
	p.spoil(err)
}

// have reports whether a reshard is possible: its old shards serve, and its new ones do not exist yet.
func (p *play) have(r *reshard) bool {
	for _, former := range p.former {
		if slices.ContainsFunc(r.to, func(shard string) bool { return slices.Contains(former.from, shard) }) {
			return false
		}
	}
	return !slices.ContainsFunc(r.from, func(shard string) bool { return !slices.Contains(p.serving, shard) })
}

// switchShards makes the new shards serve, while nothing comes from the streams for that many milliseconds, if it is not "".
func (p *play) switchShards(ctx context.Context, held string) {
	r := p.made
	if r == nil {
		return
	}
	p.patient()
	if held != "" {
		p.halfOpen("grpc", held)
	}
	ctx, cancel := context.WithTimeout(ctx, reshardLimit)
	defer cancel()
	if err := r.Switch(ctx); err != nil {
		p.spoil(err)
		return
	}
	p.made, p.former, p.unread = nil, append(p.former, r), true
	p.serving = append(slices.DeleteFunc(slices.Clone(p.serving), func(s string) bool { return slices.Contains(r.from, s) }), r.to...)
	slices.Sort(p.serving)
	for _, shard := range r.to {
		p.awaitShard(ctx, tortureSharded, shard)
	}
	for _, name := range slices.Sorted(maps.Keys(p.homes)) {
		if p.homes[name] == tortureSharded {
			p.findTorn(ctx, name, r)
		}
	}
	p.followShards(ctx)
	p.counts["shards switched"]++
}

// completeReshards removes the shards that no longer serve. Streams that have not read all of their changes may fail.
func (p *play) completeReshards(ctx context.Context) {
	if p.former == nil {
		return
	}
	p.patient()
	ctx, cancel := context.WithTimeout(ctx, reshardLimit)
	defer cancel()
	p.excuse(tortureSharded, p.unread)
	for _, r := range p.former[:len(p.former)-1] { // of whose workflows nothing is left
		for _, shard := range r.from {
			p.spoil(p.Remove(ctx, tortureSharded, shard))
		}
	}
	p.spoil(p.former[len(p.former)-1].Complete(ctx))
	p.former = nil
}

// patient lets a sync that is under way take longer, and fail for the moment.
func (p *play) patient() {
	if p.current != nil {
		p.shaken = true
		p.current.extend(p.limit())
	}
}

func (p *play) spoil(err error) {
	p.failed(err)
	if err != nil {
		p.spoilt = true
		p.counts[spoiltHistories]++
	}
}

// spoiltHistories counts reshards that did not work.
const spoiltHistories = "reshards that did not work"

// findTorn compares a table's rows in the old shards with those in the new ones, into which Vitess copied them. Where they differ, no
// stream can be right: it is cleared before it is compared. Each shard has all rows of a reference table; a merge copies those of one only,
// so that what an earlier reshard tore in that one is lost in all.
func (p *play) findTorn(ctx context.Context, name string, r *reshard) {
	all := [][]string{r.from, r.to}
	if p.mirrored[name] {
		all = nil
		for _, shard := range slices.Concat(r.from, r.to) {
			all = append(all, []string{shard})
		}
	}
	before, err := p.table(ctx, tortureSharded, name, all[0])
	if err != nil {
		return // it is no more
	}
	torn := slices.ContainsFunc(all[1:], func(shards []string) bool {
		after, err := p.table(ctx, tortureSharded, name, shards)
		p.failed(err)
		return err != nil || !slices.Equal(before.Contents(), after.Contents())
	})
	if !torn {
		return
	}
	p.counts["tables that Vitess tore"]++
	p.note("in the new shards %v table %s has other rows than in %v", r.to, name, r.from)
	p.torn = append(p.torn, name)
	if s := p.platform.Streams[name]; s != nil {
		s.End(false, false)
	}
}

func (p *play) clearTorn() {
	p.clear(p.torn...)
	p.torn = nil
}

// followShards does what the manual says of configured shards: those that were split are read in their parts; one that was merged is
// refused, and a person chooses from the shards that there are.
func (p *play) followShards(ctx context.Context) {
	if p.finding != nil || p.shards == nil || p.database != tortureSharded {
		return
	}
	option, _ := p.config["shards"].(string)
	configured := strings.Split(option, ",")
	var now []string
	for _, shard := range configured {
		parts := torture.Parts(shard, p.serving)
		if parts == nil {
			p.mustRefuse(ctx, shard)
			p.shards = torture.Overlapping(configured, p.serving)
			p.config["shards"] = strings.Join(p.shards, ",")
			for _, s := range p.platform.Streams { // rows of other shards join them
				s.End(false, false)
			}
			return
		}
		now = append(now, parts...)
	}
	p.shards = now
}

// mustRefuse runs a check, which must name the option, the shard that is gone, and those to choose from.
func (p *play) mustRefuse(ctx context.Context, shard string) {
	data, _ := exec.CommandContext(ctx, p.program, "check", "--config", p.configFile()).Output()
	out, err := destination.Parse(bytes.NewReader(data))
	switch {
	case err != nil || out.Check == nil:
		p.report(torture.Protocol, "a check gave %.500s: %v", data, err)
	case out.Check.Status != "FAILED":
		p.report(torture.Silent, "the configured shard %s does not exist, and check says %s", shard, out.Check.Message)
	default:
		for _, word := range append([]string{"(shards)", fmt.Sprintf("%q", shard)}, p.serving...) {
			if !strings.Contains(out.Check.Message, word) {
				p.report(torture.NoRemedy, "the configured shard %s does not exist, and check does not say %s: %s", shard, word, out.Check.Message)
			}
		}
	}
	p.counts["refused shards"]++
}
