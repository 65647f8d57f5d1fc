"""What is true about talking faces: time, sound, faces, samples, networks, losses, metrics. No files, no clock."""
