"""Image classification: what is in a photo, by a pretrained, a fine-tuned or a from-scratch network."""
