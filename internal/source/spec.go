package source

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed spec.json
var specFile []byte

type specification struct {
	ConnectionSpecification json.RawMessage `json:"connectionSpecification"`
}

// spec returns the ConnectorSpecification on one line.
func spec() (json.RawMessage, error) {
	var line bytes.Buffer
	if err := json.Compact(&line, specFile); err != nil {
		return nil, fmt.Errorf("spec.json, which is built in, is not valid JSON: %w", err)
	}
	return line.Bytes(), nil
}

// validateConfig holds a configuration against the connectionSpecification.
func validateConfig(data []byte) error {
	var s specification
	if err := json.Unmarshal(specFile, &s); err != nil {
		return fmt.Errorf("spec.json, which is built in, is not valid JSON: %w", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.ConnectionSpecification))
	if err != nil {
		return fmt.Errorf("spec.json, which is built in, is not valid JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("spec.json", doc); err != nil {
		return fmt.Errorf("spec.json, which is built in, is not a schema: %w", err)
	}
	schema, err := compiler.Compile("spec.json")
	if err != nil {
		return fmt.Errorf("spec.json, which is built in, is not a schema: %w", err)
	}
	config, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("the configuration is not valid JSON: %w", err)
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(config); errors.As(err, &invalid) {
		return fmt.Errorf("the configuration is not valid: %s", strings.Join(problems(invalid), "; "))
	}
	return nil
}

// problems lists the innermost causes: the key, and what is wrong with it.
func problems(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		text := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
		if len(e.InstanceLocation) > 0 {
			text = strings.Join(e.InstanceLocation, ".") + ": " + text
		}
		return []string{text}
	}
	var list []string
	for _, cause := range e.Causes {
		for _, p := range problems(cause) {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list
}

// unknownKeys returns the top-level keys of a configuration that the specification does not have, sorted.
func unknownKeys(data []byte) []string {
	var s struct {
		ConnectionSpecification struct {
			Properties map[string]any `json:"properties"`
		} `json:"connectionSpecification"`
	}
	var config map[string]any
	if json.Unmarshal(specFile, &s) != nil || json.Unmarshal(data, &config) != nil {
		return nil
	}
	var unknown []string
	for key := range config {
		if _, ok := s.ConnectionSpecification.Properties[key]; !ok {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	return unknown
}
