// Command source-planetscale is the PlanetScale source for Airbyte.
package main

import (
	"os"

	"source-planetscale/internal/source"
)

func main() { os.Exit(source.Main()) }
