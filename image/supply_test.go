package image

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

type workflow struct {
	On          json.RawMessage    `json:"on"`
	Permissions *map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		Uses        string             `json:"uses"`
		RunsOn      string             `json:"runs-on"`
		Secrets     any                `json:"secrets"`
		Permissions *map[string]string `json:"permissions"`
		Timeout     int                `json:"timeout-minutes"`
		Steps       []struct {
			Uses string         `json:"uses"`
			With map[string]any `json:"with"`
			Run  string         `json:"run"`
		} `json:"steps"`
	} `json:"jobs"`
}

// writes are the only permissions beyond reading that a job may have, by workflow and job.
var writes = map[string][]string{
	"release.yml image":   {"packages", "id-token", "attestations"},
	"release.yml release": {"contents"},
}

var (
	byCommit = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
	foreign  = regexp.MustCompile(`pull_request_target|workflow_run|issue_comment|issues|discussion`)
	commits  = regexp.MustCompile(`uses: \S+@([0-9a-f]{40})( # v\d+\.\d+\.\d+)?`)
)

// Everything that runs with permissions on the repository and its packages is pinned, and has no more permissions than it needs.
func TestWorkflowsRunWhatIsPinned(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	versions := map[string]string{}
	for _, path := range files {
		name := filepath.Base(path)
		checkWorkflow(t, name, parseWorkflow(t, path))
		for _, pin := range commits.FindAllStringSubmatch(string(read(t, ".github/workflows/"+name)), -1) {
			if pin[2] == "" {
				t.Errorf("%s: the commit %s has no comment with its version", name, pin[1])
			}
			if seen, ok := versions[pin[1]]; ok && seen != pin[2] {
				t.Errorf("%s: the commit %s is%s elsewhere", name, pin[1], seen)
			}
			versions[pin[1]] = pin[2]
		}
	}
}

func parseWorkflow(t *testing.T, path string) workflow {
	t.Helper()
	out, err := exec.Command("go", "run", yq, "-o=json", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := json.Unmarshal(out, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func checkWorkflow(t *testing.T, name string, w workflow) {
	t.Helper()
	if w.Permissions == nil || len(*w.Permissions) != 0 {
		t.Errorf("%s does not start without permissions", name)
	}
	if trigger := foreign.Find(w.On); trigger != nil {
		t.Errorf("%s is started by %s, which runs other people's changes with our permissions", name, trigger)
	}
	for id, job := range w.Jobs {
		where := name + " " + id
		if job.Permissions == nil {
			t.Errorf("%s does not declare its permissions", where)
			continue
		}
		for right, how := range *job.Permissions {
			allowed := how == "read"
			for _, w := range writes[where] {
				allowed = allowed || w == right
			}
			if !allowed {
				t.Errorf("%s has the permission to %s %s", where, how, right)
			}
		}
		if job.Secrets != nil {
			t.Errorf("%s passes secrets on", where)
		}
		if job.Uses == "" && job.RunsOn != "ubuntu-24.04" {
			t.Errorf("%s runs on %s", where, job.RunsOn)
		}
		if job.Uses != "" && !strings.HasPrefix(job.Uses, "./") {
			t.Errorf("%s runs %s, someone else's workflow", where, job.Uses)
		}
		if job.Uses == "" && job.Timeout == 0 {
			t.Errorf("%s has no timeout, so it may run for six hours", where)
		}
		for _, s := range job.Steps {
			if s.Uses != "" && !byCommit.MatchString(s.Uses) {
				t.Errorf("%s uses %s, which is not pinned to a commit", where, s.Uses)
			}
			if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
				t.Errorf("%s keeps the credentials of its checkout", where)
			}
			if strings.HasPrefix(s.Uses, "actions/setup-go@") &&
				(s.With["go-version-file"] != "go.mod" || s.With["go-version"] != nil || s.With["cache"] != false) {
				t.Errorf("%s does not use the Go version of go.mod, or uses a cache", where)
			}
			if strings.Contains(s.Run, "${{") {
				t.Errorf("%s puts an expression into a script", where)
			}
		}
	}
}

// One patch release of Go is used everywhere, so that what is tested is what is shipped.
func TestGoIsOne(t *testing.T) {
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+\.\d+)$`).FindSubmatch(read(t, "go.mod"))
	if want == nil {
		t.Fatal("go.mod names no patch release of Go")
	}
	for path, pattern := range map[string]string{
		"Dockerfile":             `(?m)^ARG GO_IMAGE=docker\.io/library/golang:(\S+)-trixie$`,
		"image/bases/Dockerfile": `(?m)^FROM docker\.io/library/golang:(\d+\.\d+\.\d+)-trixie@sha256:[0-9a-f]{64} AS GO_IMAGE$`,
	} {
		got := regexp.MustCompile(pattern).FindSubmatch(read(t, path))
		if got == nil || string(got[1]) != string(want[1]) {
			t.Errorf("%s has the Go %s, go.mod %s", path, got, want[1])
		}
	}
}

// Published images are built on base images that a bot keeps current, pinned by digest, under the names that the Dockerfile uses.
func TestBasesAreTheDockerfiles(t *testing.T) {
	tags := regexp.MustCompile(`(?m)^ARG ([A-Z]+_IMAGE)=(\S+)$`).FindAllSubmatch(read(t, "Dockerfile"), -1)
	bases := regexp.MustCompile(`(?m)^FROM ([^@\s]+)@sha256:[0-9a-f]{64} AS (\S+)$`).FindAllSubmatch(read(t, "image/bases/Dockerfile"), -1)
	if len(tags) != 2 || len(bases) != len(tags) {
		t.Fatalf("the Dockerfile has %d base images, image/bases/Dockerfile %d", len(tags), len(bases))
	}
	for i := range tags {
		if string(tags[i][1]) != string(bases[i][2]) || string(tags[i][2]) != string(bases[i][1]) {
			t.Errorf("the Dockerfile has %s, image/bases/Dockerfile %s", tags[i][0], bases[i][0])
		}
	}
}
