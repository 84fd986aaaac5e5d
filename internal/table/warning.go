package table

import (
	"fmt"
	"strings"
)

func keylessWarning(key []string) string {
	return fmt.Sprintf("the table has no key (a primary key, or a unique one without NULLs), and the destination deduplicates by (%s): rows with equal values there become one, and deleting one of them deletes it", strings.Join(key, ", "))
}
