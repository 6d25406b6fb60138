// Package graph is what gqlgen makes of schema.graphqls: the executor and the
// types of inputs and payloads. Only this file and list.go are written by hand;
// the scalars are in graph/scalar, the resolvers in resolvers.
package graph

//go:generate go tool gqlgen generate
//go:generate gofmt -r "graphql.MarshalSliceConcurrently -> marshalList" -w generated.go
