// Package kafkatest holds a broker against what Flowledger needs of Kafka, by
// the client that Flowledger uses. The same story is told to the embedded broker
// and to a real one, so that the first may stand for the second.
package kafkatest
