package docs

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// models are those of Airbyte's API and of its Terraform provider.
const models = "docs/testdata/airbyte-api.schema.json"

// TestExamplesFitTheirModels checks the requests and the Terraform of docs/airbyte.md against Airbyte's models, and the configurations
// in them against the specification.
func TestExamplesFitTheirModels(t *testing.T) {
	page := string(read(t, "docs/airbyte.md"))
	requests := regexp.MustCompile(`(?s)"\$AIRBYTE/([^"]+)" --json @- <<JSON\n(.*?)\nJSON\n`).FindAllStringSubmatch(page, -1)
	if len(requests) != 5 {
		t.Fatalf("the page has %d requests", len(requests))
	}
	for _, r := range requests {
		path, body := r[1], decode(t, r[2])
		if err := compile(t, models, "#/definitions/"+strings.ReplaceAll(path, "/", "~1")).Validate(body); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if configuration, ok := body.(map[string]any)["configuration"]; ok {
			fitsSpecification(t, configuration.(map[string]any))
		}
	}
	for _, block := range codeBlocks(page, "hcl") {
		terraformFits(t, block)
	}
}

func decode(t *testing.T, text string) any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return doc
}

func compile(t *testing.T, file, part string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	err := compiler.AddResource("schema.json", decode(t, string(read(t, file))))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json" + part)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// fitsSpecification requires a valid configuration whose keys are all known.
func fitsSpecification(t *testing.T, configuration map[string]any) {
	t.Helper()
	if err := compile(t, "internal/config/spec.json", "#/connectionSpecification").Validate(configuration); err != nil {
		t.Error(err)
	}
	for key := range configuration {
		knowsOption(t, key)
	}
}

func knowsOption(t *testing.T, key string) {
	t.Helper()
	var spec struct {
		Page struct{ Properties map[string]any } `json:"connectionSpecification"`
	}
	if err := json.Unmarshal(read(t, "internal/config/spec.json"), &spec); err != nil {
		t.Fatal(err)
	}
	if spec.Page.Properties[key] == nil {
		t.Errorf("there is no option %s", key)
	}
}

// codeBlocks returns the code blocks of a page in a language.
func codeBlocks(page, language string) []string {
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```").FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, m[1]+"\n")
	}
	return blocks
}

var (
	hclBlock     = regexp.MustCompile(`(?ms)^(?:resource|provider) "([a-z_]+)"[^{\n]*\{\n(.*?)^\}`)
	hclAttribute = regexp.MustCompile(`(?m)^  ([a-z_]+) +=`)
	hclOption    = regexp.MustCompile(`(?m)^    ([a-z_]+) +=`)
)

// terraformFits checks the attributes of each resource, and has Terraform parse the text if it is installed.
func terraformFits(t *testing.T, text string) {
	t.Helper()
	var provider struct {
		Terraform map[string]struct{ Required, Optional []string }
	}
	if err := json.Unmarshal(read(t, models), &provider); err != nil {
		t.Fatal(err)
	}
	blocks := hclBlock.FindAllStringSubmatch(text, -1)
	if len(blocks) != len(provider.Terraform) {
		t.Errorf("%d blocks were found for %d models", len(blocks), len(provider.Terraform))
	}
	for _, block := range blocks {
		kind, body := block[1], block[2]
		model := provider.Terraform[kind]
		var attributes []string
		for _, m := range hclAttribute.FindAllStringSubmatch(body, -1) {
			attributes = append(attributes, m[1])
			if !slices.Contains(model.Required, m[1]) && !slices.Contains(model.Optional, m[1]) {
				t.Errorf("%s has no attribute %s", kind, m[1])
			}
		}
		for _, want := range model.Required {
			if !slices.Contains(attributes, want) {
				t.Errorf("%s lacks %s", kind, want)
			}
		}
		if _, configuration, ok := strings.Cut(body, "jsonencode({"); ok {
			for _, m := range hclOption.FindAllStringSubmatch(configuration, -1) {
				knowsOption(t, m[1])
			}
		}
	}
	if terraform, err := exec.LookPath("terraform"); err == nil {
		cmd := exec.Command(terraform, "fmt", "-check", "-diff", "-")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.Output(); err != nil {
			t.Errorf("terraform fmt: %v: %s", err, bytes.TrimSpace(out))
		}
	}
}
