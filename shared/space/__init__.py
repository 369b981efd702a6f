"""Publishing on Hugging Face: a folder that runs alone (`build`), and its upload (`push`)."""
