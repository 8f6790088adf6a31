"""Files on disk: atomic writing, the headers of npy and npz files, writing TOML."""
