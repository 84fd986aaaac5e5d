package sandbox

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// VitessVersion is the Vitess that the sandbox runs by default, the one in go.mod.
const VitessVersion = "24.0.4"

// VTGateVariable and VTTabletVariable name the environment variables with the
// versions of Vitess that a new sandbox has unless told otherwise. Env sets
// them, so that a cluster which a test starts for itself is like the one which
// the tests were given.
const (
	VTGateVariable   = "SANDBOX_VTGATE_VERSION"
	VTTabletVariable = "SANDBOX_VTTABLET_VERSION"
)

// Option is how a cluster differs from the default one.
type Option func(*record)

// VTGate gives the cluster a vtgate of another version, such as 22.0.0.
func VTGate(version string) Option { return func(r *record) { r.VTGate = version } }

// VTTablet gives the cluster vttablets of another version, such as 22.0.0.
func VTTablet(version string) Option { return func(r *record) { r.VTTablet = version } }

// MySQL adds lines, such as innodb_native_foreign_keys=ON, to the
// configuration of each mysqld. They win over the sandbox's own.
func MySQL(lines ...string) Option { return func(r *record) { r.MySQL = lines } }

// VTTabletFlags adds flags, spelled as the usual Vitess does, to each
// vttablet's. They win over the sandbox's own.
func VTTabletFlags(flags ...string) Option { return func(r *record) { r.VTTabletFlags = flags } }

// newRecord is that of a new sandbox: of the environment's versions.
func newRecord(topology Topology) record {
	return record{
		Topology: topology, Username: "sandbox", Password: newPassword(),
		VTGate: os.Getenv(VTGateVariable), VTTablet: os.Getenv(VTTabletVariable),
	}
}

// with returns the record of a cluster as it is asked for: what no option says
// stays as it is.
func (r record) with(options []Option) (record, error) {
	for _, option := range options {
		option(&r)
	}
	for _, version := range []*string{&r.VTGate, &r.VTTablet} {
		if *version == VitessVersion {
			*version = "" // so that it is raised with the sandbox
		}
		if *version != "" {
			if err := checkVersion(*version); err != nil {
				return record{}, err
			}
		}
	}
	return r, nil
}

// refuse is the error when another cluster is asked for than the folder has.
func (r record) refuse(dir string, topology Topology, options []Option) error {
	const remedy = "use another folder or `sandbox down --purge`"
	if !sameTopology(r.Topology, topology) {
		return fmt.Errorf("the sandbox in %s has another topology: %s", dir, remedy)
	}
	asked, err := r.with(options)
	if err != nil {
		return err
	}
	if has, wants := r.kind(), asked.kind(); has != wants {
		return fmt.Errorf("the sandbox in %s has %s, not %s: %s", dir, has, wants, remedy)
	}
	return nil
}

// kind describes the cluster's programs.
func (r record) kind() string {
	return fmt.Sprintf("vtgate %s, vttablet %s %q and MySQL's settings %q", r.vtgate(), r.vttablet(), r.VTTabletFlags, r.MySQL)
}

func (r record) vtgate() string   { return cmp.Or(r.VTGate, VitessVersion) }
func (r record) vttablet() string { return cmp.Or(r.VTTablet, VitessVersion) }

// oldestVitess is the oldest major version that the Go of go.mod builds.
const oldestVitess = 21

// vitessPattern: all of Vitess's releases have the minor number 0.
var vitessPattern = regexp.MustCompile(`^([1-9][0-9]*)\.0\.([0-9]+)$`)

func checkVersion(version string) error {
	if !vitessPattern.MatchString(version) {
		return fmt.Errorf("%q is no version of Vitess: give one such as %s", version, VitessVersion)
	}
	if major(version) < oldestVitess {
		return fmt.Errorf("the sandbox cannot build Vitess %s: give %d.0.0 or a newer one", version, oldestVitess)
	}
	return nil
}

// moduleVersion is how Go's modules name a version: 22.0.1 is v0.22.1.
func moduleVersion(version string) string { return vitessPattern.ReplaceAllString(version, "v0.$1.$2") }

// major is the first number of a version.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(first) // 0 of what checkVersion refuses
	return n
}

// vitessFolder is the name of a version's folder in the cache. The number in
// it changes with what installVitess puts there.
func vitessFolder(version string) string { return "vitess-2-" + version }
