package rule

// Attack is a technique of MITRE ATT&CK with its tactic.
type Attack struct {
	TacticID, Tactic             string
	TechniqueID, Technique       string
	SubTechniqueID, SubTechnique string
}

// The techniques that rules name.
var (
	networkServiceDiscovery = Attack{TacticID: "TA0007", Tactic: "Discovery", TechniqueID: "T1046", Technique: "Network Service Discovery"}
	remoteSystemDiscovery   = Attack{TacticID: "TA0007", Tactic: "Discovery", TechniqueID: "T1018", Technique: "Remote System Discovery"}
	activeScanning          = Attack{TacticID: "TA0043", Tactic: "Reconnaissance", TechniqueID: "T1595", Technique: "Active Scanning"}
	scanningIPBlocks        = Attack{TacticID: "TA0043", Tactic: "Reconnaissance", TechniqueID: "T1595", Technique: "Active Scanning",
		SubTechniqueID: "T1595.001", SubTechnique: "Scanning IP Blocks"}
	exfiltrationAlternative = Attack{TacticID: "TA0010", Tactic: "Exfiltration", TechniqueID: "T1048", Technique: "Exfiltration Over Alternative Protocol"}
	remoteServices          = Attack{TacticID: "TA0008", Tactic: "Lateral Movement", TechniqueID: "T1021", Technique: "Remote Services"}
)

// ID is the most exact identifier.
func (a *Attack) ID() string {
	if a.SubTechniqueID != "" {
		return a.SubTechniqueID
	}
	return a.TechniqueID
}

// Name is the technique's name, and the sub-technique's.
func (a *Attack) Name() string {
	if a.SubTechnique != "" {
		return a.Technique + ": " + a.SubTechnique
	}
	return a.Technique
}
