// The composition root: chooses the native side, and nothing else.
import { mount } from 'svelte'
import { createNative } from '#backend'
import './lib/tokens/primitive.css'
import './lib/tokens/semantic.css'
import './lib/tokens/component.css'
import App from './App.svelte'

const target = document.getElementById('app')
if (target) mount(App, { target, props: { native: createNative() } })
