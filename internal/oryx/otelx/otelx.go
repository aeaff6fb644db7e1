// Package otelx is what fosite asks of tracing.
package otelx

import (
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// End ends span, marked as failed if *err is an error or the caller panics.
func End(span trace.Span, err *error) {
	defer span.End()
	if p := recover(); p != nil {
		span.SetStatus(codes.Error, "panic")
		panic(p)
	}
	if err != nil && *err != nil {
		span.SetStatus(codes.Error, (*err).Error())
	}
}
