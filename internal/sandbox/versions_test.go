package sandbox

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVersionsThatCanBeHad(t *testing.T) {
	for version, want := range map[string]string{
		"21.0.0": "v0.21.0", "22.0.1": "v0.22.1", "24.0.10": "v0.24.10",
		"22": "", "22.0": "", "v22.0.0": "", "22.1.0": "", "0.22.0": "", "22.0.0-rc1": "", "latest": "",
		"19.0.0": "", "20.0.8": "",
	} {
		err := checkVersion(version)
		if (err == nil) != (want != "") {
			t.Errorf("%s: got %v", version, err)
		}
		if err == nil && moduleVersion(version) != want {
			t.Errorf("%s is the module %s, want %s", version, moduleVersion(version), want)
		}
	}
}

func TestClusterIsWhatWasAskedFor(t *testing.T) {
	both := func(version string) []Option { return []Option{VTGate(version), VTTablet(version)} }
	for name, test := range map[string]struct {
		environment, options      []Option
		vtgate, vttablet, refused string
	}{
		"usual":                     {vtgate: VitessVersion, vttablet: VitessVersion},
		"both":                      {options: both("22.0.0"), vtgate: "22.0.0", vttablet: "22.0.0"},
		"one":                       {options: []Option{VTGate("22.0.0")}, vtgate: "22.0.0", vttablet: VitessVersion},
		"as its tests' sandbox":     {environment: both("21.0.0"), vtgate: "21.0.0", vttablet: "21.0.0"},
		"unlike its tests' sandbox": {environment: both("21.0.0"), options: []Option{VTTablet("23.0.0")}, vtgate: "21.0.0", vttablet: "23.0.0"},
		"no version":                {options: []Option{VTGate("new")}, refused: `"new" is no version`},
		"no version in environment": {environment: both("v22"), refused: `"v22" is no version`},
	} {
		t.Run(name, func(t *testing.T) {
			var environment record
			for _, option := range test.environment {
				option(&environment)
			}
			t.Setenv(VTGateVariable, environment.VTGate)
			t.Setenv(VTTabletVariable, environment.VTTablet)
			r, err := newRecord(Default()).with(test.options)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("got %v, want a refusal", err)
				}
				return
			}
			if err != nil || r.vtgate() != test.vtgate || r.vttablet() != test.vttablet {
				t.Errorf("got vtgate %s and vttablet %s (%v)", r.vtgate(), r.vttablet(), err)
			}
		})
	}
}

func TestUsualVersionIsRaisedWithTheSandbox(t *testing.T) {
	r, err := newRecord(Default()).with([]Option{VTGate(VitessVersion), VTTablet(VitessVersion)})
	if err != nil || r.VTGate != "" || r.VTTablet != "" {
		t.Errorf("the folder records the default version: %q, %q (%v)", r.VTGate, r.VTTablet, err)
	}
}

func TestUpRefusesAnotherKind(t *testing.T) {
	has, err := newRecord(Default()).with([]Option{VTGate("22.0.0"), MySQL("a = 1")})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(VTTabletVariable, "21.0.0") // is ignored for a folder that has its versions
	for name, test := range map[string]struct {
		options []Option
		want    string
	}{
		"nothing said":    {},
		"the same":        {options: []Option{VTGate("22.0.0"), VTTablet(VitessVersion), MySQL("a = 1")}},
		"another vtgate":  {[]Option{VTGate("23.0.0")}, "not vtgate 23.0.0"},
		"another tablet":  {[]Option{VTTablet("22.0.0")}, "vttablet 22.0.0"},
		"a tablet's flag": {[]Option{VTTabletFlags("--a", "b")}, "vttablet " + VitessVersion + ` ["--a" "b"]`},
		"the usual":       {[]Option{VTGate(VitessVersion)}, "not vtgate " + VitessVersion},
		"other settings":  {[]Option{MySQL("a = 2")}, `["a = 2"]`},
		"further setting": {[]Option{MySQL("a = 1", "b = 1")}, `["a = 1" "b = 1"]`},
	} {
		err := has.refuse("/sandbox", Default(), test.options)
		if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestFlagsAreSpelledAsTheProgramKnowsThem(t *testing.T) {
	const help = `Usage of vtgate:
      --allow-plain             a dash --in-the-text
      --grpc_port int           port to use
      --log_dir string          where
  -h, --help                    display usage
      --stderrthreshold severityFlag   logs (default 1)
      --v Level                 log level
`
	program := filepath.Join(t.TempDir(), "vtgate")
	names := strings.Join(flagNames(help), "\n")
	if diff := cmp.Diff("allow-plain grpc_port log_dir help stderrthreshold v", strings.ReplaceAll(names, "\n", " ")); diff != "" {
		t.Error(diff)
	}
	args := []string{program, "--grpc-port", "12", "--log-dir=/a-b", "--allow-plain", "--not-known", "--grpc_port", "a-b", "-h"}
	if _, err := spell(args); err == nil {
		t.Error("unknown flags were accepted")
	}
	if err := os.WriteFile(program+flagsSuffix, []byte(names), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := spell(args)
	want := []string{program, "--grpc_port", "12", "--log_dir=/a-b", "--allow-plain", "--not-known", "--grpc_port", "a-b", "-h"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestPretendedVersionIsAsLong(t *testing.T) {
	for version, want := range map[string]string{"9.7.4": "8.4.9", "9.10.4": "8.4.99", "10.0.12": "8.4.999", "9.7": ""} {
		if got, err := pretend(version); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %s (%v), want %s", version, got, err, want)
		}
	}
}

func TestTabletsHaveVariablesOfTheirOwn(t *testing.T) {
	name := regexp.MustCompile(`^SANDBOX_MYSQLD_[A-Z0-9_]+$`)
	seen := map[string]string{}
	for _, shard := range []string{"-", "-80", "80-", "40-80", "-40", "c0-", "80-c0"} {
		for index := range 2 {
			tablet := tablet{Keyspace: "customer", Shard: shard, Index: index}
			if !name.MatchString(tablet.env()) || seen[tablet.env()] != "" {
				t.Errorf("%s has the variable %s, as %q", tablet.id(), tablet.env(), seen[tablet.env()])
			}
			seen[tablet.env()] = tablet.id()
		}
	}
}
