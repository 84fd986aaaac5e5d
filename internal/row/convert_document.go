package row

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
)

// documentDepth is how deeply MySQL's documents may be nested.
const documentDepth = 100

// readDocument converts text to JSON. The result is certain for documents that MySQL stores unchanged: without two members of the same
// name, and without numbers that it formats differently.
func readDocument(from valueType) (conversion, string, error) {
	return then(func(value []byte) ([]byte, error) { return toUTF8(value, from.spelled) }, func(text []byte) ([]byte, error) {
		var plain bytes.Buffer
		if !isPlainDocument(text) || json.Compact(&plain, text) != nil {
			return nil, errUnconvertible
		}
		return plain.Bytes(), nil
	})
}

func isPlainDocument(text []byte) bool {
	if bytes.Contains(text, []byte(`\u`)) || len(text) > MaxLength {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if !plainValue(d, 0) {
		return false
	}
	_, err := d.Token()
	return errors.Is(err, io.EOF)
}

// plainValue reads one value.
func plainValue(d *json.Decoder, depth int) bool {
	token, err := d.Token()
	if err != nil || depth > documentDepth-1 {
		return false
	}
	switch token := token.(type) {
	case json.Number:
		return isPlainNumber(string(token))
	case json.Delim:
		names := map[string]bool{}
		for d.More() {
			if token == '{' {
				name, err := d.Token()
				text, ok := name.(string)
				if err != nil || !ok || names[text] {
					return false
				}
				names[text] = true
			}
			if !plainValue(d, depth+1) {
				return false
			}
		}
		_, err := d.Token() // the closing bracket
		return err == nil
	}
	return true
}

// isPlainNumber accepts integers, and numbers with a decimal point in a double's shortest form.
func isPlainNumber(text string) bool {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.FormatInt(n, 10) == text
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && math.Abs(f) >= 1e-3 && math.Abs(f) < 1e15 && strconv.FormatFloat(f, 'f', -1, 64) == text
}
