"""CodePipeline and CodeBuild of the embedded cloud; see the README beside."""
