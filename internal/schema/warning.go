package schema

import "fmt"

// Warning describes what a cascade means for the stream of its child.
func (c Cascade) Warning() string {
	return fmt.Sprintf("Table %s has a foreign key to %s with %s, "+
		"which InnoDB applies without writing the changed rows of %s to the binary log: rows that it deletes or changes stay unchanged in the destination. Delete and change such rows with explicit statements, or refresh the stream regularly.", c.Child, c.Parent, c.rules(), c.Child)
}
