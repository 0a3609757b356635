"""Where the pictures, clips and sounds of a job come from: allowed folders, parts of the request, public URLs."""
