export const TEXTS = {
  en: {
    skip: "Skip to content", nav: "Page", brand: "Keras Gallery", title: "Image classification",
    lead: "What is in a photo, and how sure the model is. The model runs in this page: your photo never leaves your device.",
    choose: "Choose a photo", or: "or drop one here, or paste one", model: "Model", answers: "Most probable classes",
    download: "Download the result (JSON)", private: "Nothing is uploaded: the page has no server behind it.",
    loading: "Loading the model…", working: "Looking…", time: "Answered in {ms} ms on your device.",
    empty: "The file is empty (0 bytes). JPEG, PNG, WebP, GIF, BMP and AVIF pictures work.",
    big: "The picture is too large: at most 25 MB and 50 megapixels are read. Make it smaller.",
    unreadable: "This file is not a picture that the browser can read. JPEG, PNG, WebP, GIF, BMP and AVIF pictures work.",
    failed: "The model could not answer:",
  },
  es: {
    skip: "Saltar al contenido", nav: "Página", brand: "Galería Keras", title: "Clasificación de imágenes",
    lead: "Qué hay en una foto y cuánta seguridad tiene el modelo. El modelo se ejecuta en esta página: tu foto no sale de tu dispositivo.",
    choose: "Elige una foto", or: "o suéltala aquí, o pégala", model: "Modelo", answers: "Clases más probables",
    download: "Descargar el resultado (JSON)", private: "No se sube nada: la página no tiene ningún servidor detrás.",
    loading: "Cargando el modelo…", working: "Mirando…", time: "Respuesta en {ms} ms en tu dispositivo.",
    empty: "El archivo está vacío (0 bytes). Funcionan las imágenes JPEG, PNG, WebP, GIF, BMP y AVIF.",
    big: "La imagen es demasiado grande: se leen como máximo 25 MB y 50 megapíxeles. Redúcela.",
    unreadable: "Este archivo no es una imagen que el navegador pueda leer. Funcionan JPEG, PNG, WebP, GIF, BMP y AVIF.",
    failed: "El modelo no pudo responder:",
  },
};
