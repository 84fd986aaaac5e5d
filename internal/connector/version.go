package connector

// Version is the connector's version, the one place where it is written.
const Version = "0.1.0"
