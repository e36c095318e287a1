// Builds build/distributions/codegeex-jetbrains-*.zip: gradle buildPlugin
plugins {
    java
    id("org.jetbrains.intellij.platform") version "2.9.0"
}

version = "0.1.0"

repositories {
    mavenCentral()
    intellijPlatform { defaultRepositories() }
}

dependencies {
    intellijPlatform {
        intellijIdeaCommunity("2024.2")
        // Brings LSP4J as well; a second copy of it would break LSP4IJ.
        plugin("com.redhat.devtools.lsp4ij", "0.20.0")
    }
}

// The IDE's own classes need Java 21 to be read; the plugin is Java 17.
java { toolchain { languageVersion = JavaLanguageVersion.of(21) } }
tasks.withType<JavaCompile> { options.release = 17 }

intellijPlatform {
    buildSearchableOptions = false
    pluginConfiguration { ideaVersion { sinceBuild = "242"; untilBuild = provider { null } } }
}
