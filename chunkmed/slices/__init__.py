"""The few slices that a picture shows of an image of any size: which, which way up, from which level."""
