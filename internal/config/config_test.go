package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/dial"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/vstream"
)

const minimal = `"host":"aws.connect.psdb.cloud","database":"shop","username":"u","password":"pscale_pw_secret"`

// logged returns a logger and its output.
func logged() (*slog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	return slog.New(airbyte.NewLogHandler(airbyte.NewWriter(&out), slog.LevelInfo)), &out
}

func TestParseFillsInDefaults(t *testing.T) {
	log, out := logged()
	c, err := Parse([]byte(`{`+minimal+`}`), log)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Host: "aws.connect.psdb.cloud", Database: "shop", Username: "u", Password: "pscale_pw_secret",
		MySQLPort: 3306, GRPCPort: 443, TLS: dial.TLS{Mode: dial.VerifyIdentity}, Tunnel: dial.TunnelOptions{Method: dial.NoTunnel},
		GRPCAuth:    vstream.Basic,
		Concurrency: 4, CheckpointIntervalSeconds: 60, InvalidPositionBehavior: "Fail sync", MaxRetries: 3, TimeoutSeconds: 300, UseGTIDWithTablePKs: true,
		startingPositions: map[gtid.Shard]gtid.Position{}, log: log, reached: &atomic.Bool{},
	}
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got %+v\nexpected %+v", *c, want)
	}
	if c.Dial().Reached != c.reached || c.Of("billing").VStream().Dial.Reached != c.reached {
		t.Error("what connects to the host does not share whether it was reached")
	}
	if out.Len() > 0 {
		t.Errorf("warned without reason: %s", out)
	}
}

// A configuration as users of the former connector have saved it.
func TestParseTakesTheFormerConnectors(t *testing.T) {
	log, out := logged()
	c, err := Parse(
		[]byte(
			`{`+minimal+`,"shards":"-80, 80-","use_replica":true,"use_rdonly":null,"tls":{"mode":"verify_identity","ca_certificate":null},"include_metadata":true,
		"starting_gtids":"{\"shop\":{\"-80\":\"MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-615\"}}","max_retries":5,
		"timeout_seconds":120,"use_gtid_with_table_pks":false,"options":{"do_not_treat_tiny_int_as_boolean":true},"branch":"main"}`,
		),
		log,
	)
	if err != nil {
		t.Fatal(err)
	}
	shards, err := c.Pick(gtid.Shards("shop", "-80", "80-c0", "80-", "c0-"))
	if err != nil || !slices.Equal(gtid.Names(shards), []string{"-80", "80-"}) {
		t.Errorf("shards %v, %v", shards, err)
	}
	if c.TabletType().String() != "REPLICA" || !c.IncludeMetadata || c.MaxRetries != 5 || !c.RowOptions().TinyIntAsInteger {
		t.Errorf("got %+v", c)
	}
	if c.startingPositions[gtid.Shard{Keyspace: "shop", Name: "-80"}].GTIDSet() != "16b1039f-22b6-11ed-b765-0a43f95f28a3:1-615" {
		t.Errorf("starting positions %v", c.startingPositions)
	}
	if c.TimeoutSeconds != 300 || !strings.Contains(out.String(), "(timeout_seconds) is 120; the minimum, 300, is used") {
		t.Errorf("timeout %d, logged %s", c.TimeoutSeconds, out)
	}
	if !strings.Contains(out.String(), `unknown key \"branch\"`) {
		t.Errorf("no warning about the unknown key in %s", out)
	}
}

// The form saves untouched options, among them a constant without a meaning.
func TestUntouchedOptionsOfTheFormerConnectorMeanTheDefaults(t *testing.T) {
	want, err := Parse([]byte(`{`+minimal+`}`), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, saved := range []string{
		`"shards":"","use_replica":false,"use_rdonly":false,"starting_gtids":"","max_retries":3,"timeout_seconds":300`,
		`"shards":null,"use_replica":null,"starting_gtids":null,"max_retries":null,"timeout_seconds":null,"options":null`,
		`"include_metadata":false,"options":{"storage":"HTTPS","do_not_treat_tiny_int_as_boolean":false}`,
		`"options":{}`,
	} {
		log, out := logged()
		got, err := Parse([]byte(`{`+minimal+`,`+saved+`}`), log)
		want.log = log
		if err != nil || !reflect.DeepEqual(got, want) || out.Len() > 0 {
			t.Errorf("%s: got %+v, error %v, logged %s", saved, got, err, out)
		}
	}
}

func TestParseRefusesWithASentence(t *testing.T) {
	for in, problem := range map[string]string{
		``:     "not a JSON object",
		`[]`:   "not a JSON object",
		`{}`:   "missing properties 'host', 'database', 'username', 'password'",
		`null`: "not a JSON object",
		`{"host":"h","database":"d","username":"u","password":7}`: "password: got number, want " +
			"string",
		`{` + minimal + `,"concurrency":65}`: "concurrency: must be at " +
			"most 64",
		`{` + minimal + `,"checkpoint_interval_seconds":0}`: "checkpoint_interval_seconds: must be at least 1",
		`{` + minimal + `,"mysql_port":3306.0}`:             "mysql_port: must be an integer without a fraction or an exponent",
		`{` + minimal + `,"grpc_auth":"odd"}`: "grpc_auth: value must be " +
			"one of",
		`{` + minimal + `,"tls":{"mode":"odd"}}`: "tls.mode",
		`{"host":"https://h","database":"d","username":"u","password":"secret"}`: `host: is not of the form ` +
			`host.example.com`,
		`{` + minimal + `,"tunnel_method":{"tunnel_method":"SSH_KEY_AUTH","tunnel_host":"h","tunnel_port":22}}`: "is not valid: " +
			"tunnel_method: missing properties 'tunnel_user', 'ssh_key'.",
		`{` + minimal + `,"tunnel_method":{"tunnel_method":"TELNET"}}`:                   "tunnel_method.tunnel_method: value must be 'NO_TUNNEL'; ",
		`{` + minimal + `,"tunnel_method":` + tunnel(`"tunnel_host_key":"MD5:00"`) + `}`: `tunnel_method.tunnel_host_key: is not of the form SHA256:<43 characters>`,
		`{` + minimal + `,"tunnel_method":` + tunnel(`"ssh_key":"secret"`) + `}`:         "\"Private key\" (ssh_key) is not a private key",
		`{` + minimal + `,"starting_gtids":"{"}`: `starting_gtids: is not of ` +
			`the form {"keyspace": {"shard":`,
		`{` + minimal + `,"starting_gtids":"{1}"}`: "\"Starting positions\" (starting_gtids) must have the form",
		`{` + minimal + `,"starting_gtids":"{\"x\":{}}"}`: "does not name the keyspace " +
			"\"shop\"",
		`{` + minimal + `,"starting_gtids":"{\"shop\":{\"-\":\"\"}}"}`: "a shard of keyspace shop " +
			"without a position",
		`{` + minimal + `,"starting_gtids":"{\"shop\":{\"-\":\"odd\"}}"}`: "a shard's position is not " +
			"a MySQL GTID set",
	} {
		log, _ := logged()
		_, err := Parse([]byte(in), log)
		if err == nil || !strings.Contains(err.Error()+".", problem) {
			t.Errorf("%s: error %v, expected one about %q", in, err, problem)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error contains the password: %v", in, err)
		}
	}
}

// tunnel is a tunnel_method that logs in by key, with this option.
func tunnel(option string) string {
	return `{"tunnel_method":"SSH_KEY_AUTH","tunnel_host":"h","tunnel_port":22,"tunnel_user":"u","ssh_key":"k",` + option + `}`
}

func TestUnknownShardIsNamed(t *testing.T) {
	c := &Config{Database: "shop", Shards: "-40"}
	if _, err := c.Pick(gtid.Shards("shop", "-80", "80-")); err == nil || !strings.Contains(err.Error(), `"-40" does not exist in `+
		`keyspace shop; it has the shards -80, 80-`) {
		t.Errorf("error %v", err)
	}
}

func TestDisabledTLSIsSaidAloud(t *testing.T) {
	log, out := logged()
	if _, err := Parse([]byte(`{`+minimal+`,"tls":{"mode":"disabled"}}`), log); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"WARN","message":"TLS is switched off`) {
		t.Errorf("logged %s", out)
	}
}

// specProperty is a property of the specification, with the fields that the tests check.
type specProperty struct {
	Title, Description, Type, Group string
	Order                           *int
	Default                         any
	Secret                          bool `json:"airbyte_secret"`
	Properties                      map[string]specProperty
	OneOf                           []specProperty
	Const                           any
	Pattern                         string
	PatternDescriptor               string `json:"pattern_descriptor"`
}

func specProperties(t *testing.T) map[string]specProperty {
	t.Helper()
	var s struct {
		ConnectionSpecification struct{ Properties map[string]specProperty }
	}
	if err := json.Unmarshal(specFile, &s); err != nil {
		t.Fatal(err)
	}
	return s.ConnectionSpecification.Properties
}

// keys returns the JSON keys of a struct type, sorted.
func keys(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			names = append(names, f.Tag.Get("json"))
		}
	}
	slices.Sort(names)
	return names
}

func TestSpecAgreesWithConfig(t *testing.T) {
	properties := specProperties(t)
	if want, got := keys(reflect.TypeFor[Config]()), slices.Sorted(maps.Keys(properties)); !slices.Equal(want, got) {
		t.Errorf("Config has the keys %v, spec.json %v", want, got)
	}
	options := properties["options"].Properties
	if want, got := keys(reflect.TypeOf(Config{}.Options)), slices.Sorted(maps.Keys(options)); !slices.Equal(want, got) {
		t.Errorf("Config.Options has the keys %v, spec.json %v", want, got)
	}
	for _, mode := range properties["tls"].OneOf[:2] {
		if want, got := keys(reflect.TypeFor[dial.TLS]()), slices.Sorted(maps.Keys(mode.Properties)); !slices.Equal(want, got) {
			t.Errorf("dial.TLS has the keys %v, spec.json %v", want, got)
		}
	}
	methods := map[string]specProperty{}
	for _, method := range properties["tunnel_method"].OneOf {
		maps.Copy(methods, method.Properties)
	}
	if want, got := keys(reflect.TypeFor[dial.TunnelOptions]()), slices.Sorted(maps.Keys(methods)); !slices.Equal(want, got) {
		t.Errorf("dial.TunnelOptions has the keys %v, spec.json %v", want, got)
	}
}

// secrets are the options that Airbyte must store as secrets and never show.
var secrets = []string{
	"password",
	"ca_certificate",
	"client_certificate",
	"client_key",
	"ssh_key",
	"ssh_key_passphrase",
	"tunnel_user_password",
}

func TestSpecPageIsComplete(t *testing.T) {
	var groups struct {
		ConnectionSpecification struct{ Groups []struct{ ID, Title string } }
	}
	if err := json.Unmarshal(specFile, &groups); err != nil {
		t.Fatal(err)
	}
	empty := map[string]bool{}
	for _, g := range groups.ConnectionSpecification.Groups {
		empty[g.ID] = true
	}
	for name, p := range specProperties(t) {
		if _, ok := empty[p.Group]; !ok {
			t.Errorf("%s is in group %q, which does not exist", name, p.Group)
		}
		empty[p.Group] = false
	}
	for id, isEmpty := range empty {
		if isEmpty {
			t.Errorf("the group %s is empty", id)
		}
	}
	checkPage(t, "", specProperties(t))
}

// checkPage checks the properties of one object of the settings page.
func checkPage(t *testing.T, object string, properties map[string]specProperty) {
	t.Helper()
	places := map[string]string{}
	for name, p := range properties {
		if p.Title == "" || p.Description == "" && p.Const == nil || p.Order == nil {
			t.Errorf("%s%s lacks title, description or order", object, name)
			continue
		}
		place := fmt.Sprint(p.Group, *p.Order)
		if places[place] != "" {
			t.Errorf("%s%s and %s have the same place", object, name, places[place])
		}
		places[place] = name
		if secret := slices.Contains(secrets, name); p.Secret != secret {
			t.Errorf("%s%s: airbyte_secret is %v", object, name, p.Secret)
		}
		if p.Secret && p.Pattern != "" {
			t.Errorf("%s%s: a secret must have no pattern, since the pattern's error shows the value", object, name)
		}
		if (p.Pattern == "") != (p.PatternDescriptor == "") {
			t.Errorf("%s%s: a pattern needs a pattern_descriptor, and vice versa", object, name)
		}
		if p.OneOf != nil && !slices.ContainsFunc(p.OneOf, func(b specProperty) bool { return hasConstant(b, p.Default) }) {
			t.Errorf("%s%s: Airbyte's page expects the default of a oneOf to be the constant of one alternative; it is %v", object, name, p.Default)
		}
		checkPage(t, object+name+".", p.Properties)
		for i, branch := range p.OneOf {
			checkPage(t, fmt.Sprintf("%s%s[%d].", object, name, i), branch.Properties)
			if !slices.ContainsFunc(
				slices.Collect(maps.Values(branch.Properties)),
				func(q specProperty) bool { return q.Const != nil && q.Const == q.Default },
			) {
				t.Errorf("%s%s[%d] has no constant that distinguishes it from the others", object, name, i)
			}
		}
	}
}

func hasConstant(branch specProperty, value any) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(branch.Properties)), func(q specProperty) bool {
		return q.Const != nil && q.Const == value
	})
}

func TestSpecIsAValidSchemaOnOneLine(t *testing.T) {
	line, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsRune(line, '\n') {
		t.Error("the specification is not on one line")
	}
	var s specification
	if err := json.Unmarshal(line, &s); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.ConnectionSpecification))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	if err := compiler.AddResource("spec.json", doc); err != nil {
		t.Fatal(err)
	}
	if _, err := compiler.Compile("spec.json"); err != nil {
		t.Fatal(err)
	}
}

func TestConfiguredShardThatWasSplitStandsForItsParts(t *testing.T) {
	for _, c := range []struct {
		configured string
		want       []string
	}{
		{"-80", []string{"-40", "40-80"}},
		{"-80,80-", []string{"-40", "40-80", "80-"}},
		{"-", []string{"-40", "40-80", "80-"}},
		{"-80,-40", []string{"-40", "40-80"}},
	} {
		got, err := (&Config{Database: "shop", Shards: c.configured}).Pick(gtid.Shards("shop", "40-80", "-40", "80-"))
		if err != nil || !slices.Equal(gtid.Names(got), c.want) {
			t.Errorf("%s means %v (%v)", c.configured, got, err)
		}
	}
	for _, configured := range []string{"-20", "c0-", "20-60", "x"} {
		if got, err := (&Config{Database: "shop", Shards: configured}).Pick(gtid.Shards("shop", "-40", "40-80", "80-")); err == nil {
			t.Errorf("%s means %v", configured, got)
		}
	}
}
