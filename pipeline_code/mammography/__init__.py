"""The model of the use case: severity of mammographic masses."""
