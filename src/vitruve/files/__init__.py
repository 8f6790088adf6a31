"""Files on disk: atomic writing, npy and npz files, writing TOML, the columns of SMPL layouts."""
