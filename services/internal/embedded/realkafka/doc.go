// Package realkafka runs a real Apache Kafka broker, one KRaft node on loopback,
// for tests that must not rest on an imitation, and for the crash test.
//
// Its jars come from Maven by the pom.xml beside this file, once, into the cache
// folder; Java runs them with a small heap. Java and Maven are all it needs.
package realkafka
