package airbyte

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Malformed describes what encoding/json found wrong with a document, without Go's types or the document's values.
func Malformed(err error) error {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		kind, _, _ := strings.Cut(wrong.Value, " ") // a number comes with its digits
		if wrong.Field == "" {
			return fmt.Errorf("it has a JSON %s where none is allowed", kind)
		}
		return fmt.Errorf("%s must not be a JSON %s", wrong.Field, kind)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && syntax.Error() == "unexpected end of JSON input":
		return errors.New("it is incomplete")
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not valid JSON from byte %d on", syntax.Offset)
	}
	if name, isField := strings.CutPrefix(err.Error(), "json: unknown field "); isField {
		return fmt.Errorf("it has the unknown field %s", name)
	}
	return err
}
