"""Texts of the gallery's own pages."""

from __future__ import annotations

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "brand": "Keras Gallery",
        "lead": "Six applications of machine learning, trained with Keras and answering on this machine. Open one, "
        "drop in your own photo, text or recording, and take the result with you.",
        "skip": "Skip to content",
        "nav": "Gallery",
        "privacy": "What you send stays on this machine: it is used for your answer, kept in a private temporary "
        "folder and deleted within about an hour.",
        "engine": "Models trained with Keras, served by",
        "size": "model size",
        "latency": "per answer",
        "models": "models",
        "failed": "This app could not be opened. The others are not affected.",
        "untrained": "Not trained yet. This command trains it:",
        "none": "No trained model yet",
        "none_text": "The gallery shows an app once its weights are in models/. Install the training tools and train "
        "one; reload this page when the command has published it:",
        "none_more": "Each app's README names the data it takes: your own folder (--data PATH) or a TensorFlow "
        "Datasets name (--dataset tfds:NAME). --help lists every option.",
        "card": "Model card",
        "report": "Training report",
        "code": "Code",
        "api": "API",
        "picture": "A result of this app",
        "error_title": "This app could not be opened",
        "error_text": "The other apps of the gallery are not affected. What went wrong:",
        "error_more": "This command shows the whole story:",
        "missing_title": "There is no such page",
        "missing_text": "The address does not name an app, a model or a file of the gallery.",
        "docs_title": "The whole API",
        "docs_text": "Every answer a page gives can be had from a program: with gradio_client in Python, over HTTP, "
        "or as a tool of an agent (MCP). One description of everything, for code generators:",
        "docs_mcp_on": "MCP is on. An agent reaches the tools of every app here (streamable HTTP), or those of one app "
        "at the address named with it:",
        "docs_mcp_off": "MCP is off. Start the gallery with it:",
        "parameter": "Parameter",
        "type": "Type",
        "default": "Default",
        "required": "required",
        "returns": "Returns",
        "meaning": "Meaning",
        "files": "Files",
    },
    "es": {
        "brand": "Galería Keras",
        "lead": "Seis aplicaciones de aprendizaje automático, entrenadas con Keras y que responden en esta máquina. "
        "Abre una, suelta tu propia foto, texto o grabación, y llévate el resultado.",
        "skip": "Saltar al contenido",
        "nav": "Galería",
        "privacy": "Lo que envías se queda en esta máquina: se usa para tu respuesta, se guarda en una carpeta "
        "temporal privada y se borra en una hora aproximadamente.",
        "engine": "Modelos entrenados con Keras y servidos con",
        "size": "tamaño del modelo",
        "latency": "por respuesta",
        "models": "modelos",
        "failed": "Esta aplicación no se pudo abrir. Las demás siguen funcionando.",
        "untrained": "Aún sin entrenar. Esta orden la entrena:",
        "none": "Aún no hay ningún modelo entrenado",
        "none_text": "La galería muestra una aplicación en cuanto sus pesos están en models/. Instala las herramientas "
        "de entrenamiento y entrena una; recarga esta página cuando la orden la haya publicado:",
        "none_more": "El README de cada aplicación nombra los datos que admite: tu propia carpeta (--data PATH) o un "
        "nombre de TensorFlow Datasets (--dataset tfds:NOMBRE). --help muestra todas las opciones.",
        "card": "Ficha del modelo",
        "report": "Informe de entrenamiento",
        "code": "Código",
        "api": "API",
        "picture": "Un resultado de esta aplicación",
        "error_title": "Esta aplicación no se pudo abrir",
        "error_text": "Las demás aplicaciones de la galería siguen funcionando. Qué ha fallado:",
        "error_more": "Esta orden cuenta la historia completa:",
        "missing_title": "No existe esa página",
        "missing_text": "La dirección no nombra ninguna aplicación, modelo o archivo de la galería.",
        "docs_title": "Toda la API",
        "docs_text": "Cada respuesta de una página se puede pedir desde un programa: con gradio_client en Python, por "
        "HTTP o como herramienta de un agente (MCP). Una sola descripción de todo, para generadores de código:",
        "docs_mcp_on": "MCP está activo. Un agente encuentra aquí las herramientas de todas las aplicaciones (HTTP con "
        "streaming), o las de una sola en la dirección indicada con ella:",
        "docs_mcp_off": "MCP está apagado. Inicia la galería con él:",
        "parameter": "Parámetro",
        "type": "Tipo",
        "default": "Por defecto",
        "required": "obligatorio",
        "returns": "Devuelve",
        "meaning": "Significado",
        "files": "Archivos",
    },
}
