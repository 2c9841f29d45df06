"""One file per architecture: its `Config`, and `encoder(config)`, a function from (B, T, D) and a mask to (B, T, D).

`encoder` is called on Keras's symbolic tensors: ``encoder(config)(x, mask)``, where the mask (B, T) is boolean and
True at real positions. An architecture that can write has `decoder(config, memory)`, too: a causal layer that is called
as `suite.layers.Decoder`, with attention to a memory if `memory` is true. Modules here import no framework before one
of them is called, so that names and configurations are checked at once. A new architecture is a new file with these
names.
"""
