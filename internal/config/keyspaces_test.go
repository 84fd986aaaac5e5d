package config

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/gtid"
)

// parsed is the configuration with additional options, which start with a comma.
func parsed(t *testing.T, options string) *Config {
	t.Helper()
	c, err := Parse([]byte(`{`+minimal+options+`}`), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKeyspacesToRead(t *testing.T) {
	for options, want := range map[string]struct {
		named          []string
		reads, not     string
		several, every bool
	}{
		``:                                       {[]string{"shop"}, "shop", "billing", false, false},
		`,"keyspaces":null`:                      {[]string{"shop"}, "shop", "", false, false},
		`,"keyspaces":[]`:                        {[]string{"shop"}, "shop", "*", false, false},
		`,"keyspaces":["shop"]`:                  {[]string{"shop"}, "shop", "billing", false, false},
		`,"keyspaces":["billing"]`:               {[]string{"shop", "billing"}, "billing", "Billing", true, false},
		`,"keyspaces":[" billing ","shop","b "]`: {[]string{"shop", "billing", "b"}, "b", "b ", true, false},
		`,"keyspaces":["*"]`:                     {[]string{"shop"}, "anything", "shop/-80", true, true},
		`,"keyspaces":["*","billing"]`:           {[]string{"shop", "billing"}, "anything", "billing@replica", true, true},
	} {
		c := parsed(t, options)
		if !slices.Equal(c.Named(), want.named) || c.Several() != want.several || c.ReadsEvery() != want.every {
			t.Errorf("%s: %v, several %v, every %v", options, c.Named(), c.Several(), c.ReadsEvery())
		}
		for _, one := range []*Config{c, c.Of(want.reads)} {
			if !one.Reads(want.reads) || one.Reads(want.not) || !one.Reads("shop") || one.Several() != want.several {
				t.Errorf("%s: reads %s %v, %s %v", options, want.reads, one.Reads(want.reads), want.not, one.Reads(want.not))
			}
		}
	}
}

func TestShardsOfEachKeyspace(t *testing.T) {
	existing := []string{"-80", "80-"}
	for options, want := range map[string]struct{ shop, billing []string }{
		`"shards":""`:                          {existing, existing},
		`"shards":"-80"`:                       {[]string{"-80"}, existing},
		`"shards":"billing/80-"`:               {existing, []string{"80-"}},
		`"shards":" -80 , billing/80- ,"`:      {[]string{"-80"}, []string{"80-"}},
		`"shards":"shop/80-,billing/-"`:        {[]string{"80-"}, existing},
		`"shards":"billing/80-,billing/-80,-"`: {existing, []string{"80-", "-80"}},
	} {
		c := parsed(t, `,"keyspaces":["billing"],`+options)
		for keyspace, names := range map[string][]string{"shop": want.shop, "billing": want.billing} {
			got, err := c.Of(keyspace).Pick(gtid.Shards(keyspace, existing...))
			if err != nil || !slices.Equal(got, gtid.Shards(keyspace, names...)) {
				t.Errorf("%s: %s has %v (%v)", options, keyspace, got, err)
			}
		}
	}
	c := parsed(t, `,"keyspaces":["billing"],"shards":"billing/40-80"`)
	if _, err := c.Of("billing").Pick(gtid.Shards("billing", "-40", "80-")); err == nil || !strings.Contains(err.Error(), "keyspace billing") {
		t.Errorf("error %v", err)
	}
}

func TestStartingPositionsOfEachKeyspace(t *testing.T) {
	const at = `MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-`
	text := func(keyspaces ...string) string {
		var parts []string
		for _, k := range keyspaces {
			parts = append(parts, `\"`+k+`\":{\"-\":\"`+at+`7\"}`)
		}
		return `"starting_gtids":"{` + strings.Join(parts, ",") + `}"`
	}
	c := parsed(t, `,"keyspaces":["billing"],`+text("shop", "billing"))
	for _, keyspace := range []string{"shop", "billing"} {
		positions := c.Of(keyspace).StartingPositions()
		if len(positions) != 1 || positions[gtid.Shard{Keyspace: keyspace, Name: "-"}].IsZero() {
			t.Errorf("%s starts at %v", keyspace, positions)
		}
	}
	if c := parsed(t, `,"keyspaces":["*"],`+text("any")); len(c.Of("any").StartingPositions()) != 1 || len(c.StartingPositions()) != 0 {
		t.Error("a keyspace that * matches has no position, or another one has it")
	}
	if c := parsed(t, `,`+text("shop", "billing")); len(c.StartingPositions()) != 1 {
		t.Error("a file with other keyspaces' positions is not accepted")
	}
}

func TestWhatIsOfNoKeyspaceThatIsReadIsRefused(t *testing.T) {
	for options, problem := range map[string]string{
		`"shards":"-80,billing/-80"`:                                "entry 2 of \"Shards\" (shards) names a keyspace",
		`"keyspaces":["billing"],"shards":"other/-80"`:              "entry 1 of \"Shards\" (shards) names a keyspace",
		`"keyspaces":["billing"],"starting_gtids":"{\"other\":{}}"`: "\"Starting positions\" (starting_gtids) names a keyspace that the source does not read",
		`"keyspaces":["billing/-80"]`:                               "keyspaces.0: is not of the form my_keyspace",
		`"keyspaces":["shop","billing@replica"]`:                    "keyspaces.1: is not of the form my_keyspace",
		`"keyspaces":[""]`:                                          "keyspaces.0",
		`"keyspaces":"billing"`:                                     "keyspaces: got string, want array",
		`"keyspaces":[7]`:                                           "keyspaces.0: got number, want string",
	} {
		_, err := Parse([]byte(`{`+minimal+`,`+options+`}`), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v", options, err)
		}
	}
}
