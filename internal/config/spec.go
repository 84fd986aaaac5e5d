package config

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed spec.json
var specFile []byte

type specification struct {
	ConnectionSpecification json.RawMessage `json:"connectionSpecification"`
}

// Spec returns the ConnectorSpecification on one line.
func Spec() (json.RawMessage, error) {
	var line bytes.Buffer
	if err := json.Compact(&line, specFile); err != nil {
		return nil, fmt.Errorf("spec.json, which is built in, is not valid JSON: %w", err)
	}
	return line.Bytes(), nil
}

// property is an option of the specification, as far as its default is concerned.
type property struct {
	Default json.RawMessage
	Const   json.RawMessage
	OneOf   []struct{ Properties map[string]property }
}

// defaults are those of the specification, as a configuration.
func defaults() []byte {
	var s struct {
		ConnectionSpecification struct {
			Properties map[string]property
		}
	}
	if json.Unmarshal(specFile, &s) != nil {
		return nil
	}
	values := map[string]any{}
	for key, p := range s.ConnectionSpecification.Properties {
		if p.Default != nil {
			values[key] = p.standard()
		}
	}
	data, err := json.Marshal(values)
	if err != nil {
		return nil
	}
	return data
}

// standard is the value of an omitted option. Airbyte's page interprets the default of alternatives as the constant of one of them, and
// the value is an object with that constant.
func (p property) standard() any {
	for _, alternative := range p.OneOf {
		for key, inner := range alternative.Properties {
			if bytes.Equal(inner.Const, p.Default) {
				return map[string]json.RawMessage{key: p.Default}
			}
		}
	}
	return p.Default
}

// schema is the connectionSpecification, compiled.
var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	var s specification
	if err := json.Unmarshal(specFile, &s); err != nil {
		return nil, fmt.Errorf("spec.json, which is built in, is not valid JSON: %w", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.ConnectionSpecification))
	if err != nil {
		return nil, fmt.Errorf("spec.json, which is built in, is not valid JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("spec.json", doc); err != nil {
		return nil, fmt.Errorf("spec.json, which is built in, is not a schema: %w", err)
	}
	compiled, err := compiler.Compile("spec.json")
	if err != nil {
		return nil, fmt.Errorf("spec.json, which is built in, is not a schema: %w", err)
	}
	return compiled, nil
})

// validateConfig validates a configuration against the connectionSpecification.
func validateConfig(data []byte) error {
	schema, err := schema()
	if err != nil {
		return err
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

// problems lists the innermost causes: the key, and what is wrong with it. For alternatives, it lists those of the chosen one.
func problems(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		text := problem(e)
		if len(e.InstanceLocation) > 0 {
			text = strings.Join(e.InstanceLocation, ".") + ": " + text
		}
		return []string{text}
	}
	causes := e.Causes
	if _, ok := e.ErrorKind.(*kind.OneOf); ok && slices.ContainsFunc(causes, isChosen) {
		causes = slices.DeleteFunc(slices.Clone(causes), func(c *jsonschema.ValidationError) bool { return !isChosen(c) })
	}
	var list []string
	for _, cause := range causes {
		for _, p := range problems(cause) {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list
}

// isChosen reports whether an alternative is the one that the configuration selects by its constant.
func isChosen(e *jsonschema.ValidationError) bool {
	_, other := e.ErrorKind.(*kind.Const)
	return !other && !slices.ContainsFunc(e.Causes, func(c *jsonschema.ValidationError) bool { return !isChosen(c) })
}

// problem says what is expected, not what was found: it may be a secret in the wrong field.
func problem(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Pattern:
		return "is not of the form " + patternDescriptor(e.SchemaURL)
	case *kind.Minimum:
		least, _ := k.Want.Float64()
		return fmt.Sprintf("must be at least %v", least)
	case *kind.Maximum:
		most, _ := k.Want.Float64()
		return fmt.Sprintf("must be at most %v", most)
	case *kind.Required, *kind.Type, *kind.Enum, *kind.Const: // these have types, keys, and the values that the specification allows
		return e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	}
	return "does not match the specification"
}

// patternDescriptor is what the settings page shows for a pattern: url ends with #/connectionSpecification's path to it.
func patternDescriptor(url string) string {
	var s struct {
		Node any `json:"connectionSpecification"`
	}
	if json.Unmarshal(specFile, &s) != nil {
		return ""
	}
	_, path, _ := strings.Cut(url, "#/")
	for key := range strings.SplitSeq(path, "/") {
		switch node := s.Node.(type) {
		case map[string]any:
			s.Node = node[key]
		case []any:
			if i, err := strconv.Atoi(key); err == nil && i < len(node) {
				s.Node = node[i]
			}
		}
	}
	property, _ := s.Node.(map[string]any)
	text, _ := property["pattern_descriptor"].(string)
	return text
}
