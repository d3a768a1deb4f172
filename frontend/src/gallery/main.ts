// Every shared part and a way to every scenario, to look at. Built in mode "fake" only.
import { mount } from 'svelte'
import { FakeBackend } from '../lib/backend/fake/fake'
import { scenarios } from '../lib/backend/fake/scenarios'
import { fakeViewer } from '../lib/backend/fake/viewer'
import '../lib/tokens/primitive.css'
import '../lib/tokens/semantic.css'
import '../lib/tokens/component.css'
import Gallery from './Gallery.svelte'

const q = new URLSearchParams(location.search)
document.documentElement.dataset.theme = q.get('theme') ?? 'light'
const target = document.getElementById('app')
if (target) mount(Gallery, { target, props: { native: { backend: new FakeBackend({ scenario: 'many' }), openViewer: fakeViewer }, names: Object.keys(scenarios) } })
