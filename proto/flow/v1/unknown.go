package flowv1

// HasUnknown tells whether a flow has fields of a later version of the contract.
func (x *Flow) HasUnknown() bool { return len(x.unknownFields) > 0 }
