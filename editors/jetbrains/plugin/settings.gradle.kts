rootProject.name = "codegeex-jetbrains"
