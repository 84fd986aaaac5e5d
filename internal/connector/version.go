package connector

// Version is the connector's version; it is only defined here.
const Version = "0.1.0"
