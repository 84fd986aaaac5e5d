package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"testing"
)

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// changed returns the JSON object of a file with changed values; nil removes a key.
func changed(t *testing.T, file string, change map[string]any) []byte {
	t.Helper()
	object := map[string]any{}
	if err := json.Unmarshal(read(t, file), &object); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	maps.Copy(object, change)
	maps.DeleteFunc(object, func(_ string, v any) bool { return v == nil })
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
