package realkafka

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// properties is the node's configuration: broker and controller in one, nothing
// replicated, groups that form without a delay, and Kafka's own defaults for
// whatever a client can notice.
func properties(addr, controller, data string, extra map[string]string) []byte {
	p := map[string]string{
		"process.roles":                            "broker,controller",
		"node.id":                                  "1",
		"controller.quorum.voters":                 "1@" + controller,
		"listeners":                                "PLAINTEXT://" + addr + ",CONTROLLER://" + controller,
		"advertised.listeners":                     "PLAINTEXT://" + addr,
		"controller.listener.names":                "CONTROLLER",
		"inter.broker.listener.name":               "PLAINTEXT",
		"listener.security.protocol.map":           "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs":                                 data,
		"auto.create.topics.enable":                "false",
		"offsets.topic.num.partitions":             "4",
		"offsets.topic.replication.factor":         "1",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr":            "1",
		"group.initial.rebalance.delay.ms":         "0",
		"group.min.session.timeout.ms":             "1000",
		"broker.session.timeout.ms":                "20000", // one that has no processor for a while is not gone
		"broker.heartbeat.interval.ms":             "500",
		"num.network.threads":                      "2",
		"num.io.threads":                           "4",
		"log.index.size.max.bytes":                 "1048576",
		"log.cleaner.dedupe.buffer.size":           "2097152",
	}
	maps.Copy(p, extra)
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", key, p[key])
	}
	return b.Bytes()
}
