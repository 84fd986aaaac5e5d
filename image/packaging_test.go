package image

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"source-planetscale/internal/connector"
)

// yq converts YAML to JSON; pinned like the Makefile's tools.
const yq = "github.com/mikefarah/yq/v4@v4.47.1"

type metadata struct {
	Data struct {
		Icon             string `json:"icon"`
		DockerRepository string `json:"dockerRepository"`
		DockerImageTag   string `json:"dockerImageTag"`
		DocumentationURL string `json:"documentationUrl"`
		ReleaseDate      string `json:"releaseDate"`
		AllowedHosts     struct{ Hosts []string }
	} `json:"data"`
}

// TestMetadata checks metadata.yaml against Airbyte's model, and against the same facts elsewhere in the project.
func TestMetadata(t *testing.T) {
	var m metadata
	yamlFile(t, "metadata.yaml", "testdata/metadata.schema.json", &m)
	var spec struct {
		DocumentationURL        string `json:"documentationUrl"`
		ConnectionSpecification struct {
			Properties map[string]any `json:"properties"`
		} `json:"connectionSpecification"`
	}
	if err := json.Unmarshal(read(t, "internal/config/spec.json"), &spec); err != nil {
		t.Fatal(err)
	}
	if m.Data.DocumentationURL != spec.DocumentationURL {
		t.Errorf("documentationUrl is %s, that of the specification %s", m.Data.DocumentationURL, spec.DocumentationURL)
	}
	for _, host := range m.Data.AllowedHosts.Hosts {
		option, _, _ := strings.Cut(strings.Trim(host, "${}"), ".")
		if spec.ConnectionSpecification.Properties[option] == nil {
			t.Errorf("allowedHosts has %s, but the specification has no option %s", host, option)
		}
	}
	if icon := read(t, m.Data.Icon); !bytes.Contains(icon, []byte(`viewBox="0 0 250 250"`)) {
		t.Errorf("%s is not a picture of 250 by 250 pixels", m.Data.Icon)
	}
	if !bytes.Contains(read(t, "Dockerfile"), []byte("io.airbyte.name="+m.Data.DockerRepository+" ")) {
		t.Errorf("the Dockerfile's label io.airbyte.name is not the dockerRepository %s", m.Data.DockerRepository)
	}
}

// TestManualsAddress checks that both files have the manual's address once the release, or whoever builds an image, has set it.
func TestManualsAddress(t *testing.T) {
	root := t.TempDir()
	for _, file := range []string{"internal/config/spec.json", "metadata.yaml"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), read(t, file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := func(url string) error {
		cmd := exec.Command("./manual.sh", url)
		cmd.Env = append(os.Environ(), "ROOT="+root)
		return cmd.Run()
	}
	const url = "https://git.example.com/source-planetscale/blob/v0.1.0/docs/planetscale.md"
	if err := name(url); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"internal/config/spec.json": "\n  \"documentationUrl\": \"" + url + "\",\n", "metadata.yaml": "\n  documentationUrl: " + url + "\n",
	} {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte(want)) || bytes.Count(data, []byte("\n")) != bytes.Count(read(t, file), []byte("\n")) {
			t.Errorf("%s does not lead to the manual: %s", file, data[:min(len(data), 400)])
		}
	}
	for _, bad := range []string{"", "docs/planetscale.md", "https://", `https://a"b`, "https://a|b"} {
		if name(bad) == nil {
			t.Errorf("%q is accepted as an address", bad)
		}
	}
}

// TestVersionIsOne compares every mention of the version with the one place that defines it.
func TestVersionIsOne(t *testing.T) {
	var m metadata
	yamlFile(t, "metadata.yaml", "testdata/metadata.schema.json", &m)
	label := regexp.MustCompile(`io\.airbyte\.version=(\S+)`).FindSubmatch(read(t, "Dockerfile"))
	entry := regexp.MustCompile(`(?m)^## (\S+) \((.+)\)$`).FindSubmatch(read(t, "CHANGELOG.md"))
	if label == nil || entry == nil {
		t.Fatal("the Dockerfile has no label io.airbyte.version, or the changelog no entry like `## 1.2.3 (2026-12-31)`")
	}
	for place, version := range map[string]string{
		"metadata.yaml":       m.Data.DockerImageTag,
		"the Dockerfile":      string(label[1]),
		"CHANGELOG.md's head": string(entry[1]),
	} {
		if version != connector.Version {
			t.Errorf("%s says version %s, internal/connector/version.go %s", place, version, connector.Version)
		}
	}
	for _, page := range []string{"README.md", "docs/airbyte.md"} {
		for _, tag := range regexp.MustCompile(`source-planetscale:(\d+\.\d+\.\d+)`).FindAllSubmatch(read(t, page), -1) {
			if string(tag[1]) != connector.Version {
				t.Errorf("%s shows an image of version %s, internal/connector/version.go says %s", page, tag[1], connector.Version)
			}
		}
	}
	if date := string(entry[2]); date != "unreleased" && m.Data.ReleaseDate == "" {
		t.Errorf("CHANGELOG.md says that the version was released on %s, and metadata.yaml has no releaseDate", date)
	}
}

// TestFlagsAreOne compares the flags that the image's program is built with to those of `make build`.
func TestFlagsAreOne(t *testing.T) {
	flags := regexp.MustCompile(`go build (-trimpath .+) -o `)
	made, image := flags.FindSubmatch(read(t, "Makefile")), flags.FindSubmatch(read(t, "Dockerfile"))
	if made == nil || image == nil || !bytes.Equal(made[1], image[1]) {
		t.Errorf("`make build` builds with %q, the Dockerfile with %q", made, image)
	}
}

// TestAcceptanceConfig checks the configuration of Airbyte's acceptance tests against its model, and that the files it names
// exist and are JSON; the script acceptance.txtar runs with their content.
func TestAcceptanceConfig(t *testing.T) {
	var config struct {
		Tests map[string]struct {
			Tests []map[string]any `json:"tests"`
		} `json:"acceptance_tests"`
	}
	yamlFile(t, "acceptance-test-config.yml", "testdata/acceptance.schema.json", &config)
	for name, tests := range config.Tests {
		for _, test := range tests.Tests {
			for key, value := range test {
				file, _ := value.(string)
				if !strings.HasSuffix(key, "_path") || filepath.Dir(file) == "secrets" {
					continue
				}
				if !json.Valid(read(t, file)) {
					t.Errorf("%s: %s is not JSON", name, file)
				}
			}
		}
	}
}

// yamlFile reads a YAML file of the repository into a value, and fails the test if it does not match the schema.
func yamlFile(t *testing.T, file, schemaFile string, into any) {
	t.Helper()
	cmd := exec.Command("go", "run", yq, "-o=json", ".", filepath.Join("..", file))
	cmd.Stderr = os.Stderr
	data, err := cmd.Output()
	if err != nil {
		t.Fatalf("reading %s with yq: %v", file, err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// read returns the content of a file of the repository.
func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
