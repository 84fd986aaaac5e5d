package row

import (
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/table"
)

// differences are the values that MySQL or Vitess send differently in a copy and in replication, in a way that cannot be
// distinguished from other values. They are printed in TYPES.md; e2e's TestTypes shows each on a real server.
var differences = []struct{ name, copied, replicated, reason string }{
	{
		"FLOAT of more than six digits", "`16777200`", "`16777216`",
		"A copy is a SELECT, for which MySQL prints a FLOAT with six digits. Avoid FLOAT in keys.",
	},
	{
		"ENUM and SET labels beyond the BMP", "`\"😀\"`", "`\"?\"`",
		"The binary log has the number of the label, and MySQL reports the labels in utf8mb3, which has no characters beyond U+FFFF. " +
			"Discover warns about such columns.",
	},
	{
		"JSON with a BLOB, BINARY or BIT", "`\"base64:type252:AQ==\"`", "`\"base64:type15:AQ==\"`",
		"Vitess loses the type of such bytes inside a document, and reports VARBINARY.",
	},
	{
		"JSON with a TIME outside a day", "`\"-00:00:01.000000\"`, `\"100:00:00.000000\"`", "`\"\"`, `\"04:00:00.000000\"`",
		"Vitess ignores the sign and the days of a TIME inside a document.",
	},
	{
		"JSON with a zero or impossible date", "`\"0000-00-00\"`, `\"2026-00-01 10:00:00.000000\"`", "`\"-0001-11-30\"`, `\"2026-01-01 " +
			"10:00:00.000000\"`",
		"Vitess normalizes dates inside a document to valid calendar dates.",
	},
}

// losses are the values that vttablets before some version replicate incorrectly; copies have the correct value. e2e's TestTypes shows
// each on the older servers that docs/versions.md names.
var losses = []struct{ name, before, replicated, effect string }{
	{"SET with 64 labels", "24", "only the other labels", "The 64th label is missing; discover warns about such a column."},
	{
		"JSON with a BLOB, BINARY or BIT", "24", "null", "The document arrives without its beginning, which is not valid JSON: null, marked, " +
			"with a warning in the log.",
	},
	{
		"JSON that was partially updated", "22", "nothing", "The update is lost if `binlog_row_value_options` is PARTIAL_JSON; `check` and " +
			"`read` refuse such a server, but cannot see whether the option was on between two syncs.",
	},
}

// failures are values that Vitess does not stream at all.
var failures = []struct{ what, effect string }{
	{"A table with a backtick in its name", "neither copied nor replicated (mysqlctl.GetColumns mistakes the name for an unterminated quoted name)"},
	{"An ENUM or SET with a label that has a backslash before `%` or `_`", "not replicated (sqltypes.DecodeStringSQL rejects it); " +
		"discover warns"},
	{"An ENUM or SET of the character set binary with a label that is not text of the BMP", "not replicated (MySQL declares it in " +
		"hexadecimal, which vtschema.ParseEnumOrSetTokensMap rejects); discover warns"},
	{"A VARCHAR or VARBINARY of 63232 to 63743 bytes", "not replicated (vstreamer mistakes the upper byte of its length for the type ENUM or " +
		"SET); discover warns"},
}

// silences are changes that Vitess leaves out without an error, so that nothing shows that they are missing.
var silences = []struct{ what, effect string }{
	{"Rows in which every column is NULL", "copied, but neither their inserts nor their deletes are replicated, and an update to such a row " +
		"arrives as a delete of the former one (vstreamer takes the empty row image for none); discover warns about a table without a column " +
		"that is NOT NULL, and so do incremental syncs"},
}

func appendDifferences(b *strings.Builder) {
	appendFolds(b)
	b.WriteString(differencesHead)
	for _, d := range differences {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", d.name, d.copied, d.replicated, d.reason)
	}
	b.WriteString(lossesHead)
	for _, l := range losses {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", l.name, l.before, l.replicated, l.effect)
	}
	b.WriteString(failuresHead)
	for _, f := range failures {
		fmt.Fprintf(b, "- %s: %s.\n", f.what, f.effect)
	}
	b.WriteString(silencesHead)
	for _, s := range silences {
		fmt.Fprintf(b, "- %s: %s.\n", s.what, s.effect)
	}
}

// appendFolds lists the types whose different values may become equal, with all reasons listed in kinds.
func appendFolds(b *strings.Builder) {
	b.WriteString(foldsHead)
	for _, k := range allKinds() {
		if k.folds == nil {
			continue
		}
		var reasons []string
		for _, declaration := range []string{exampleOf(k).columnType, "enum('')", "enum('?')"} {
			for _, charset := range []string{"", "utf8mb4", "ascii", "none"} {
				reason := k.folds(table.ParseType(declaration), charset)
				if reason != "" && !slices.Contains(reasons, reason) {
					reasons = append(reasons, reason)
				}
			}
		}
		remedy := "discover warns"
		if k.shape == booleanShape {
			remedy = "an integer in a key"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", k.title, strings.Join(reasons, "; "), remedy)
	}
	b.WriteString(foldsTail)
}

const foldsHead = `
## Keys

A destination that deduplicates compares the JSON of keys. In these types, values that differ in MySQL may have the same JSON, so that two rows
whose keys differ only in that become one. It is best to have a key without them.

| in the key | what becomes the same | what the connector does |
|---|---|---|
`

const foldsTail = `
The opposite loses nothing: if a text key changes only in case or accents, which MySQL's collations treat as equal, the stream gets a delete of the
old spelling and a row with the new one.
`

const differencesHead = `
## Where copy and replication differ

The server (Vitess 24.0.3, MySQL 9.7) sends these as shown. They cannot be distinguished from other values, and so are not repaired.

| value | copied | replicated | why |
|---|---|---|---|
`

const lossesHead = `
## What older servers lose

| value | vttablet before | replicated | what the connector does |
|---|---|---|---|
`

const silencesHead = `
Vitess also omits, without an error:

`

const failuresHead = `
## What Vitess does not stream

As of 24.0.3, Vitess ends a stream with an error for:

`
