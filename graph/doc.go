// Package graph is what gqlgen makes of schema.graphqls: the executor and the
// types of inputs and payloads. Nothing here but this file is written by hand;
// the scalars are in graph/scalar, the resolvers in resolvers.
package graph

//go:generate go tool gqlgen generate
