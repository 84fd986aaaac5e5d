package destination

import "testing"

func TestRecordsObeyTheFormatsOfTheirSchema(t *testing.T) {
	for format, c := range map[string]struct{ good, bad string }{
		"date":      {"2024-02-29", "29.02.2024"},
		"date-time": {"2024-02-29T12:00:00.000001", "2024-02-29 12:00:00"},
		"time":      {"12:00:00.5", "12:00"},
	} {
		s, err := CompileSchema(map[string]any{"type": "string", "format": format})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(c.good); err != nil {
			t.Errorf("%s: %s is refused: %v", format, c.good, err)
		}
		if s.Validate(c.bad) == nil {
			t.Errorf("%s: %s is accepted", format, c.bad)
		}
	}
}
