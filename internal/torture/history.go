// Package torture generates random histories of a database and of a connector that reads it, and judges what the connector sent. It is
// pure: everything follows from a seed, and whoever runs a history (e2e) passes in what was observed. It shares no code with the
// connector.
package torture

import (
	"fmt"
	"slices"
	"strings"
)

// History is what happens, in order. Its text is a file that can be run again, and read: a line for each step.
type History []Step

// Step is one line of a history: a verb, its words, and statements after a bar.
type Step struct {
	Verb  string
	Words []string // without blanks
	SQL   []string // statements of one session, without line breaks
}

// separator stands between the statements of a step.
const separator = " ;; "

// Prefix is a placeholder in a history for what makes the names of a run's tables unique.
const Prefix = "tt_"

func (s Step) String() string {
	line := strings.Join(append([]string{s.Verb}, s.Words...), " ")
	if len(s.SQL) > 0 {
		line += " | " + strings.Join(s.SQL, separator)
	}
	return line
}

// Word is the nth word, or "".
func (s Step) Word(n int) string {
	if n < len(s.Words) {
		return s.Words[n]
	}
	return ""
}

// Has reports whether the step has the word.
func (s Step) Has(word string) bool { return slices.Contains(s.Words, word) }

// Option is the value of a word of the form key=value, or "".
func (s Step) Option(key string) string {
	for _, w := range s.Words {
		if value, ok := strings.CutPrefix(w, key+"="); ok {
			return value
		}
	}
	return ""
}

// Truncates reports whether a step removes all rows: unlike what other DDL does to rows, this has to reach the destination.
func (s Step) Truncates() bool {
	return slices.ContainsFunc(s.SQL, func(sql string) bool { return strings.HasPrefix(sql, "truncate ") })
}

func (h History) String() string {
	var b strings.Builder
	for _, s := range h {
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}

// Parse reads a history; lines that are empty or begin with # are notes.
func Parse(text string) (History, error) {
	var h History
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		head, statements, _ := strings.Cut(line, " | ")
		words := strings.Fields(head)
		s := Step{Verb: words[0], Words: words[1:]}
		if statements != "" {
			s.SQL = strings.Split(statements, separator)
		}
		if _, ok := Verbs[s.Verb]; !ok {
			return nil, fmt.Errorf("line %d: there is no step %q", n+1, s.Verb)
		}
		h = append(h, s)
	}
	return h, nil
}

// Verbs are the possible steps, and what they do.
var Verbs = map[string]string{
	"keyspace":  "NAME: where all of this happens",
	"source":    "[option=JSON]...: the connection's configuration; the schema is read",
	"table":     "NAME [reference]: create the table through vtgate, as one whose rows are all in each shard or with the vindex that follows, and select it",
	"stream":    "NAME [mode=M] [dest=D] [without=COLUMN,...] [key=COLUMN,...] : how the stream is configured from the next discover on",
	"discover":  "refresh the schema",
	"sql":       "statements through vtgate, as one transaction if they are several",
	"direct":    "SHARD: statements in one session of the shard's own mysqld, each for itself",
	"fill":      "NAME FROM TO: an insert through vtgate of many rows; {n} is the row's number",
	"ddl":       "NAME [may-fail] [in=SHARD] [copied]: a statement that changes the table, through vtgate, in one shard only, or a copy that then replaces it",
	"start":     "begin a sync",
	"read":      "N: read that many records of it",
	"state":     "read it up to its next state",
	"pause":     "MILLISECONDS: read nothing for a while",
	"kill":      "kill -9 the connector",
	"term":      "SIGTERM",
	"finish":    "read the sync to its end",
	"sync":      "start and finish",
	"judge":     "sync until it is complete, following what is said of failures, and compare with the source",
	"replay":    "N: go on from the Nth state (counted modulo their number) of the last run, to another destination, and compare",
	"clear":     "NAME: clear the stream's data",
	"bare":      "[states] [catalog]: they are handed over without namespaces from now on",
	"idle":      "SHARD: an empty transaction",
	"purge":     "SHARD: remove its binary logs but the newest",
	"fault":     "PROCESS: kill -9 that process of the cluster, and start it again",
	"clock":     "SECONDS: the connector's clock is that much ahead (behind, if it is less than 0) from now on, also of a sync under way",
	"half-open": "PROTOCOL,... [MILLISECONDS]: stop the bytes of the sync's connections (grpc, mysql), open as they stay: that long, or for good",
	"reload":    "make all tablets read their tables' columns again",
	"hold":      "SHARD MILLISECONDS: stop the SQL thread of its first replica for that long",
	"errant":    "SHARD: commit transactions in its last replica that its primary does not have",
	"reparent":  "SHARD: another primary",
	"reshard":   "SHARD,... to SHARD,...: make the second ones, which copy the rows of the first and follow them",
	"switch":    "[held=MILLISECONDS]: the shards that the last reshard made serve instead of those before; the sync's streams stop for that long meanwhile",
	"complete":  "remove the shards that were replaced",
}
