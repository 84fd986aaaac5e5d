package destination

import (
	"fmt"
	"regexp"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// formats are JSON schema's as Airbyte reads them: without an offset where the airbyte_type says so.
var formats = map[string]format{
	"date":      {regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)},
	"date-time": {regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z?$`)},
	"time":      {regexp.MustCompile(`^\d\d:\d\d:\d\d(\.\d{1,6})?$`)},
}

// CompileSchema prepares a stream's json_schema, as jsonschema.UnmarshalJSON returns it, for the validation of records.
func CompileSchema(schema any) (*jsonschema.Schema, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for name, f := range formats {
		compiler.RegisterFormat(&jsonschema.Format{Name: name, Validate: f.validate})
	}
	if err := compiler.AddResource("stream.json", schema); err != nil {
		return nil, err
	}
	return compiler.Compile("stream.json")
}

type format struct{ *regexp.Regexp }

func (f format) validate(v any) error {
	if s, ok := v.(string); ok && !f.MatchString(s) {
		return fmt.Errorf("%q does not match %s", s, f)
	}
	return nil
}
