"""Files on disk: written whole or not at all; what an npz or npy file holds, told from its head."""
